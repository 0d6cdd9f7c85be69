"""`deep`: every package is imported in a throw-away process, whatever it does there."""

import time
from pathlib import Path
from typing import Any

import pytest

import plugward
from python.tests.patience import is_running, until
from python.tests.site_folder import SiteFolder

SEGFAULT = "import ctypes, sys\nprint('before the end', file=sys.stderr)\nctypes.string_at(8)\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SiteFolder:
    folder = SiteFolder(tmp_path / "site")
    monkeypatch.syspath_prepend(str(folder.path))
    return folder


def tried(*requirements: str, seconds: float = 60.0) -> list[dict[str, Any]]:
    manifest = {"name": "p", "kind": "python", "entrypoint": "p:P", "dependencies": list(requirements)}
    checker = plugward.DependencyChecker()
    shallow = checker.check(manifest)
    return checker.check(manifest, deep=True, import_timeout=seconds)[len(shallow) :]


def only(finding: dict[str, Any], *words: str) -> None:
    assert finding["code"] == "PW-PKG-005", finding
    assert all(word in finding["cause"] for word in words), finding
    assert finding["remedy"]


def test_one_that_works(site: SiteFolder, tmp_path: Path) -> None:
    site.add("alpha", code=f"open({str(tmp_path / 'was-here')!r}, 'w').close()")
    (finding,) = tried("alpha>=1")
    assert (finding["ok"], finding["subject"], finding["message"]) == (True, "alpha>=1", "importing alpha works")
    assert (tmp_path / "was-here").exists()
    assert finding["took_us"] > 0


def test_nothing_is_imported_without_it(site: SiteFolder, tmp_path: Path) -> None:
    site.add("alpha", code=f"open({str(tmp_path / 'was-here')!r}, 'w').close()")
    checker = plugward.DependencyChecker()
    assert all(
        one["ok"]
        for one in checker.check({"name": "p", "kind": "python", "entrypoint": "p:P", "dependencies": ["alpha"]})
    )
    assert not (tmp_path / "was-here").exists()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise RuntimeError('no licence')", ["raised RuntimeError: no licence", "last lines"]),
        ("import no_such_module", ["ModuleNotFoundError", "no_such_module"]),
        ("def f(:", ["SyntaxError"]),
        ("raise SystemExit(0)", ["raised SystemExit"]),
        ("raise KeyboardInterrupt", ["raised KeyboardInterrupt"]),
        ("class E(Exception):\n  def __str__(self): raise ValueError\nraise E", ["raised E", "cannot be shown"]),
        (SEGFAULT, ["died of SIGSEGV", "before the end", "Segmentation fault"]),
        ("import os; os.abort()", ["died of SIGABRT"]),
        ("import os, sys; print('so long', file=sys.stderr, flush=True); os._exit(0)", ["exit status 0", "so long"]),
        ("import os; os._exit(7)", ["exit status 7"]),
        ("import os; os.kill(os.getpid(), 9)", ["died of SIGKILL"]),
    ],
)
def test_ways_to_fail(site: SiteFolder, code: str, words: list[str]) -> None:
    site.add("alpha", code=code)
    site.add("beta")
    alpha, beta = tried("alpha", "beta")
    only(alpha, *words)
    assert beta["ok"], "the others are tried all the same"


def test_one_that_leaves_a_daemon_behind(site: SiteFolder, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    daemon = f"    os.setsid()\n    open({str(pid)!r}, 'w').write(str(os.getpid()))\n    time.sleep(1000)\n"
    wait = f"while not os.path.exists({str(pid)!r}) or not os.path.getsize({str(pid)!r}): time.sleep(0.01)\n"
    site.add("alpha", code=f"import os, time\nif os.fork() == 0:\n{daemon}{wait}")
    (finding,) = tried("alpha")
    assert finding["ok"], finding
    left = int(pid.read_text())
    until("it has ended", lambda: not is_running(left))


def test_one_that_hangs(site: SiteFolder) -> None:
    site.add("alpha", code="import time\n\ndef wait_for_the_server():\n    time.sleep(1000)\n\nwait_for_the_server()\n")
    start = time.monotonic()
    (finding,) = tried("alpha", seconds=5)
    only(finding, "did not end within 5.0 s", "wait_for_the_server")
    assert time.monotonic() - start < 100


def test_one_that_hangs_where_python_cannot_look(site: SiteFolder) -> None:
    code = "import signal, ctypes\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 30))\n"
    site.add("alpha", code=code + "ctypes.PyDLL(None).sleep(1000)\n")
    start = time.monotonic()
    (finding,) = tried("alpha", seconds=1)
    only(finding, "did not end within")
    assert time.monotonic() - start < 100


def test_one_that_prints(site: SiteFolder) -> None:
    site.add("alpha", code="import os\nprint('{\"failed\": [1]}' * 10)\nos.write(1, b'\\x1e{' + b'x' * 3000000)\n")
    (finding,) = tried("alpha")
    assert finding["ok"], finding
    assert "it wrote 3000" in finding["message"]


def test_one_that_prints_without_end(site: SiteFolder) -> None:
    site.add("alpha", code="import os\nwhile True: os.write(1, b'noise ' * 1000)\n")
    (finding,) = tried("alpha", seconds=1)
    only(finding, "did not end within")
    assert len(finding["cause"]) < 8000


def test_one_that_leaves_a_process_behind(site: SiteFolder) -> None:
    site.add("alpha", code="import subprocess\nsubprocess.Popen(['sleep', '1000'])\n")
    start = time.monotonic()
    (finding,) = tried("alpha", seconds=150)
    assert finding["ok"], finding
    assert time.monotonic() - start < 100


def test_modules_have_other_names_than_distributions(site: SiteFolder) -> None:
    site.add("PyAlpha", module="alpha", code="raise ImportError('alpha it is')")
    only(tried("pyalpha")[0], "alpha it is")
    info = site.add("beta", module="_beta", files={"top_level.txt": "_beta\nbeta_front\n"})
    (site.path / "beta_front.py").write_text("raise ImportError('the front')")
    only(tried("beta")[0], "the front")
    (info / "top_level.txt").unlink()
    assert tried("beta")[0]["message"] == "importing _beta works"


def test_what_is_missing_is_not_tried(site: SiteFolder) -> None:
    assert tried("alpha", "not valid at all", 'beta; python_version < "3"') == []
