"""Make a synthetic section with the generator of one's choice."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from thymusimg.errors import SettingsError
from thymusimg.phantom.spec import spec_from

if TYPE_CHECKING:
    from thymusimg.phantom.model import Phantom
    from thymusimg.phantom.spec import PhantomSpec

GENERATORS = {
    "slab": ("thymusimg.phantom.slab", "make_slab"),
    "drawn": ("thymusimg.phantom.drawn.generate", "make_drawn"),
}
"""Module and function of every generator: two of them, built on other principles, so that nothing is tuned and
tested on the same one."""


class Generator(Protocol):
    """What every generator is called with."""

    def __call__(
        self, spec: PhantomSpec, seed: int, *, pixel_size_um: float, size_mm: float | None
    ) -> Phantom:  # pragma: no cover
        """Make a section."""


def make_phantom(
    spec: PhantomSpec,
    seed: int,
    *,
    pixel_size_um: float = 0.5,
    size_mm: float | None = None,
    generator: str = "slab",
) -> Phantom:
    """Make a synthetic section and its truth, in memory.

    Parameters
    ----------
    spec : PhantomSpec
        What the section is made of.
    seed : int
        Same spec, seed and pixel size, same bytes. At least 0.
    pixel_size_um : float
        Side of a pixel in µm, 0.1-2.
    size_mm : float, optional
        Side of a square slide; the lobe is shrunk where it would not fit. Without it the slide is the lobe's box.
    generator : str
        ``slab`` (bodies in a slab of tissue, Voronoi nets, level sets) or ``drawn`` (built on other principles).

    Returns
    -------
    Phantom
        Pixels (C, Y, X) and truth; channels ``hCD45, KRT14, KRT8`` and, on request, ``DAPI``.
        ``truth.parameters["generator"]`` names the generator.

    Raises
    ------
    SettingsError
        If the spec, the pixel size, the seed or the slide's size is impossible, or there is no such generator.

    Examples
    --------
    >>> from thymusimg.phantom import PhantomSpec, make_phantom
    >>> phantom = make_phantom(PhantomSpec(area_mm2=0.02), seed=1, size_mm=0.2)
    >>> phantom.pixels.shape, phantom.channel_names
    ((3, 400, 400), ('hCD45', 'KRT14', 'KRT8'))
    """
    make = find_generator(generator)
    check_slide(seed, pixel_size_um, size_mm)
    spec_from(spec.model_dump())  # a copy with changes has been past no validator
    return make(spec, seed, pixel_size_um=pixel_size_um, size_mm=size_mm)


def find_generator(name: str) -> Generator:
    """Return a generator by name.

    Raises
    ------
    SettingsError
        If there is none of that name; those that there are get listed.
    """
    if name not in GENERATORS:
        raise SettingsError(f"phantom: there is no generator {name!r}; there are {', '.join(GENERATORS)}")
    module, function = GENERATORS[name]
    return cast("Generator", getattr(import_module(module), function))


def check_slide(seed: int, pixel_size_um: float, size_mm: float | None) -> None:
    """Refuse an impossible seed, pixel size or slide.

    Raises
    ------
    SettingsError
        Which names the value and its bounds.
    """
    if not 0.1 <= pixel_size_um <= 2:
        raise SettingsError(f"phantom: pixel_size_um must lie in 0.1-2 µm, found {pixel_size_um:g}")
    if seed < 0:
        raise SettingsError(f"phantom: seed must be 0 or more, found {seed}")
    if size_mm is not None and not 0.05 <= size_mm <= 60:
        raise SettingsError(f"phantom: size_mm must lie in 0.05-60 mm, found {size_mm:g}")
