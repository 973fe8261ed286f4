from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
from hostile_name import HOSTILE
from report_fixtures import make_section, write_run

from thymusimg.report import overlays
from thymusimg.report.html import write_report
from thymusimg.report.layers import draw_layers

if TYPE_CHECKING:
    from collections.abc import Iterator

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of six sections; the last animal's name is hostile, and its last section has no bundle."""
    analysed = make_section()
    drawn = (analysed.section, analysed.planes, analysed.compartments, analysed.cells)
    jpegs = {name: overlays.to_jpeg(p[::4, ::4], 50) for name, p in overlays.draw_section(*drawn).items()}
    folder = tmp_path_factory.mktemp("browser") / "out"
    write_run(
        folder,
        primary=("cortical_coverage",),
        groups={"untreated": 2, "CD34+": 2},
        pictures=jpegs,
        layers=draw_layers(*drawn),
    )
    for table in ("sections", "animals"):
        file = folder / "tables" / f"{table}.csv"
        frame = pd.read_csv(file, dtype=str, keep_default_na=False)
        frame["animal"] = frame["animal"].replace("C02", HOSTILE)
        frame.to_csv(file, index=False)
    return write_report(folder)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed: the report was not looked at in a browser")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # Both programs are named, so that selenium looks for none and fetches none.
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    opened.set_page_load_timeout(60)
    opened.set_script_timeout(100)
    yield opened
    opened.quit()


@pytest.fixture
def page(chromium: Any, report: Path) -> Any:
    """The report, opened anew with the network cut."""
    chromium.execute_cdp_cmd("Network.enable", {})
    chromium.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
    )
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.get("about:blank")
    chromium.get(report.as_uri())
    return chromium
