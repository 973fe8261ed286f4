from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from thymusimg.channels.markers import clean, keratin_numbers, read_name
from thymusimg.channels.roles import propose_roles, resolve_roles, role_warnings
from thymusimg.errors import CallError, RoleError
from thymusimg.section.model import Level, Window


@dataclass
class NamedImage:
    """An image of which only the names matter."""

    channel_names: tuple[str, ...]
    emission_nm: tuple[float | None, ...] = ()
    path: str = "slide.ome.tif"
    format: str = "OME-TIFF"
    dtype: np.dtype = field(default_factory=lambda: np.dtype(np.uint16))
    max_value: float = 65535.0
    levels: tuple[Level, ...] = (Level((8, 8), 1.0),)
    tile_shape: tuple[int, int] = (8, 8)
    pixel_size_um: tuple[float, float] | None = (0.5, 0.5)
    semi_quantitative: bool = False
    lossy: str = ""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.emission_nm:
            self.emission_nm = (None,) * len(self.channel_names)

    def read(self, level: int, channel: int, window: Window) -> np.ndarray:
        return np.zeros(window.shape, self.dtype)

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("role", "names"),
    [
        (
            "cd45",
            "hCD45|CD45|PTPRC|AF594-hCD45|human CD45 APC|CD45-PE-Cy7|mouse anti-human CD45|Alexa594_CD45|HI30",
        ),
        (
            "k14",
            "K14|KRT14|CK14|Krt14|Keratin-14|Keratin 14|keratin_14|cytokeratin 14|LL002|Cy5 CK14|mouse anti-K14",
        ),
        ("k8", "K8|KRT8|CK8|TROMA-I|TROMA-1|troma1|Alexa Fluor 488 - KRT8|K8 488|Keratin8 (FITC)|cytokeratin-8"),
        ("dapi", "DAPI|Hoechst|Hoechst 33342|nuclei|Nuclear stain|DRAQ5|dapi 405"),
    ],
)
def test_names_of_a_role(role: str, names: str) -> None:
    for name in names.split("|"):
        assert read_name(name).roles == (role,), name


@pytest.mark.parametrize(
    "name",
    "red green blue FITC TRITC AF594 Cy5 Channel:0 C1 405 488 594 CD4 CD8 CD205 K5 K18 K80 K140 CD45RA CD45RO "
    "CD45R TROMA-III UEA-1 Ki67 H3K14 H3K8".split(),
)
def test_a_colour_a_dye_or_another_marker_is_no_role(name: str) -> None:
    assert read_name(name).roles == ()


@pytest.mark.parametrize("name", ["mCD45", "mouse CD45", "Ly-5", "Ly5.1", "30-F11", "CD45 (30-F11)", "CD45.1"])
def test_mouse_cd45_is_not_human(name: str) -> None:
    image = NamedImage(("K14", "K8", name))
    with pytest.raises(RoleError, match="mouse CD45, which is not human"):
        resolve_roles(image)


@pytest.mark.parametrize(
    "name", ["CK8/18", "K8/K18", "K8-18", "K8_K18", "CAM5.2", "pan-keratin", "PanCK", "AE1/AE3"]
)
def test_keratin_mixtures_are_ambiguous(name: str) -> None:
    assert read_name(name).roles == ()
    with pytest.raises(RoleError, match="--channel k8="):
        resolve_roles(NamedImage(("K14", name)))
    roles, markers = resolve_roles(NamedImage(("K14", name)), {"k8": 1})
    assert roles == {"k14": 0, "k8": 1}
    assert markers["k8"] == name


def test_k5_is_offered_but_never_taken_for_k14() -> None:
    image = NamedImage(("KRT5", "KRT8", "CD45"))
    with pytest.raises(RoleError, match=r"no channel is named K14; 'KRT5' \(K5\) may stand in.*--channel k14=KRT5"):
        resolve_roles(image)
    roles, markers = resolve_roles(image, {"k14": "krt5"})
    assert roles == {"k14": 0, "k8": 1, "cd45": 2}
    assert markers == {"k14": "KRT5", "k8": "KRT8", "cd45": "CD45"}


def test_keratin_lists() -> None:
    assert keratin_numbers("CK8/18") == {8, 18}
    assert keratin_numbers("K5 + K14") == {5, 14}
    assert keratin_numbers("K14_2") == {14}


def test_the_wild_type_mapping() -> None:
    image = NamedImage(("CD11c", "PDGFRb", "CD205"))
    with pytest.raises(RoleError, match=r"CD11c.*PDGFRb.*CD205"):
        resolve_roles(image)
    roles, markers = resolve_roles(image, {"k8": "CD205", "k14": "CD11c"})
    assert roles == {"k14": 0, "k8": 2}
    assert markers == {"k14": "CD11c", "k8": "CD205"}
    assert role_warnings(image, roles) == ("no CD45 channel: human cells are not looked for",)


@pytest.mark.parametrize("value", [2, "2", "AF594-hCD45", "af594-HCD45", "AF594", "hCD45"])
def test_a_mapping_takes_names_words_and_indices(value: str | int) -> None:
    image = NamedImage(("Cy5 CK14", "Alexa Fluor 488 - KRT8", "AF594-hCD45"))
    roles, markers = resolve_roles(image, {"cd45": value})
    assert roles == {"cd45": 2, "k14": 0, "k8": 1}
    assert markers == {"cd45": "hCD45", "k14": "CK14", "k8": "KRT8"}


@pytest.mark.parametrize(
    ("value", "words"), [(3, "0 to 2"), (-1, "0 to 2"), ("KRT15", "did you mean"), ("", "no such")]
)
def test_a_mapping_to_nothing(value: str | int, words: str) -> None:
    with pytest.raises(RoleError, match=words):
        resolve_roles(NamedImage(("KRT14", "KRT8", "CD45")), {"k14": value})


def test_numbers_that_are_names_and_indices() -> None:
    image = NamedImage(("1", "2", "3"))
    with pytest.raises(RoleError, match="both the name of channel 0 and an index"):
        resolve_roles(image, {"k14": "1", "k8": "2"})
    assert resolve_roles(image, {"k14": 1, "k8": 2})[0] == {"k14": 1, "k8": 2}


def test_same_names_want_an_index() -> None:
    image = NamedImage(("AF", "AF", "K8"))
    with pytest.raises(RoleError, match="fits the channels 0, 1"):
        resolve_roles(image, {"k14": "AF"})


def test_one_channel_for_two_roles() -> None:
    with pytest.raises(RoleError, match="one channel plays one role"):
        resolve_roles(NamedImage(("a", "b")), {"k14": "a", "k8": 0})
    with pytest.raises(RoleError, match="K8 and K14 together"):
        resolve_roles(NamedImage(("K8 K14", "CD45")))
    with pytest.raises(RoleError, match="CD45 and DAPI at once"):
        resolve_roles(NamedImage(("K8", "K14", "CD45 DAPI")))


def test_two_channels_for_one_role() -> None:
    image = NamedImage(("K14", "CK14 Cy5", "K8"))
    with pytest.raises(RoleError, match="named by several channels: 0 'K14' and 1 'CK14 Cy5'"):
        resolve_roles(image)
    assert resolve_roles(image, {"k14": 1})[0] == {"k14": 1, "k8": 2}


def test_a_composite_is_never_read_by_its_colours() -> None:
    image = NamedImage(("red", "green", "blue"))
    example = "--channel cd45=red --channel k8=green --channel k14=blue"
    with pytest.raises(RoleError, match=example):
        resolve_roles(image)
    proposal = propose_roles(image)
    assert proposal.roles == {}
    assert not proposal.complete
    assert example in proposal.hint


def test_unnamed_channels() -> None:
    image = NamedImage(("", "", ""))
    with pytest.raises(RoleError, match=r"0 \(no name\).*--channel k14=NAME_OR_INDEX"):
        resolve_roles(image)
    assert resolve_roles(image, {"k14": 0, "k8": 1})[1] == {"k14": "channel 0", "k8": "channel 1"}


@pytest.mark.parametrize(
    ("names", "emission"),
    [
        (("K14", "K8", "DAPI"), (450.0, 520.0, 461.0)),
        (("K14", "K8", "DAPI"), (450.0, 520.0, None)),
        (("K14-BV421", "K8", "Hoechst"), (None, None, None)),
        (("K14 AF405", "K8", "nuclei"), (None, None, None)),
    ],
)
def test_blue_k14_beside_dapi(names: tuple[str, ...], emission: tuple[float | None, ...]) -> None:
    image = NamedImage(names, emission)
    with pytest.raises(RoleError, match="both in the blue range"):
        resolve_roles(image)
    assert resolve_roles(image, {"k14": 0})[0] == {"k14": 0, "k8": 1, "dapi": 2}


@pytest.mark.parametrize(
    ("names", "emission"),
    [
        (("K14", "K8", "DAPI"), (670.0, 520.0, 461.0)),
        (("K14", "K8", "DAPI"), (None, None, None)),
        (("K14-BV421", "K8", "DRAQ5"), (None, None, None)),
        (("K14-BV421", "K8"), (None, None)),
    ],
)
def test_k14_beside_a_nuclear_stain_that_it_can_be_told_from(
    names: tuple[str, ...], emission: tuple[float | None, ...]
) -> None:
    assert resolve_roles(NamedImage(names, emission))[0]["k14"] == 0


def test_k14_in_the_dapi_filter_must_be_said() -> None:
    image = NamedImage(("DAPI", "FITC", "TRITC"))
    with pytest.raises(RoleError, match="no channel is named K14"):
        resolve_roles(image)
    roles, _ = resolve_roles(image, {"k14": "DAPI", "k8": "FITC", "cd45": "TRITC"})
    assert roles == {"k14": 0, "k8": 1, "cd45": 2}
    assert any("name says otherwise" in line for line in role_warnings(image, roles))


def test_a_role_can_be_left_out() -> None:
    assert resolve_roles(NamedImage(("K14", "K8", "CK14b CD45")), {"cd45": "none"})[0] == {"k14": 0, "k8": 1}


def test_only_what_is_needed_is_asked_for() -> None:
    assert resolve_roles(NamedImage(("CD45", "x")), need=("cd45",))[0] == {"cd45": 0}


def test_an_unknown_role() -> None:
    with pytest.raises(CallError, match="no role 'k5'"):
        resolve_roles(NamedImage(("K14", "K8")), {"k5": 0})


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_channel_order_does_not_matter(order: tuple[int, ...]) -> None:
    names = ("K14", "K8", "hCD45")
    image = NamedImage(tuple(names[i] for i in order))
    roles, _ = resolve_roles(image)
    assert {role: image.channel_names[i] for role, i in roles.items()} == {
        "k14": "K14",
        "k8": "K8",
        "cd45": "hCD45",
    }


def test_a_proposal_says_why() -> None:
    proposal = propose_roles(NamedImage(("K14", "CK8/18", "mCD45", "DAPI")))
    assert proposal.roles == {"k14": 0, "dapi": 3}
    assert not proposal.complete
    assert "K8 and K18 together" in proposal.findings["k8"].why
    assert "mouse" in proposal.findings["cd45"].why
    assert "--channel k8=CK8/18" in proposal.hint
    assert propose_roles(NamedImage(("K14", "K8"))).complete


@pytest.mark.parametrize(
    ("name", "marker"),
    [("AF594-hCD45", "hCD45"), ("Cy5 CK14", "CK14"), ("CD205 (FITC)", "CD205"), ("FITC", "FITC"), ("", "")],
)
def test_clean_names(name: str, marker: str) -> None:
    assert clean(name) == marker
