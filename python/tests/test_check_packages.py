"""Packages: requirements, versions, markers, extras, what packages need in turn, damaged installations."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import plugward
from python.tests.site_folder import SiteFolder


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SiteFolder:
    folder = SiteFolder(tmp_path / "site")
    monkeypatch.syspath_prepend(str(folder.path))
    return folder


def checked(*requirements: str, **more: Any) -> list[dict[str, Any]]:
    manifest = {"name": "p", "kind": "python", "entrypoint": "p:P", "dependencies": list(requirements), **more}
    return [one for one in plugward.DependencyChecker().check(manifest) if one["subject"] != "machine"]


def only(findings: list[dict[str, Any]], code: str, *words: str) -> dict[str, Any]:
    bad = [one for one in findings if not one["ok"]]
    assert [one["code"] for one in bad] == [code], findings
    text = f"{bad[0]['message']} {bad[0]['cause']} {bad[0]['remedy']}"
    assert all(word in text for word in words), bad
    assert bad[0]["remedy"]
    return bad[0]


def fine(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    assert findings
    assert all(one["ok"] for one in findings), findings
    return findings


def test_versions(site: SiteFolder) -> None:
    site.add("alpha", "2.5")
    assert "2.5" in fine(checked("alpha>=2,<3"))[0]["message"]
    only(checked("alpha>=3"), "PW-PKG-002", "2.5", ">=3", "pip install")
    only(checked("alpha~=2.6"), "PW-PKG-002")
    only(checked("beta"), "PW-PKG-001", "beta", 'pip install "beta"')
    assert [one["ok"] for one in checked("alpha", "beta", "alpha>9")] == [True, False, False], "all findings are told"


def test_what_changes_on_the_disk_is_seen_by_the_next_check(site: SiteFolder) -> None:
    info = site.add("alpha", "2.5")
    only(checked("alpha>=3"), "PW-PKG-002", "2.5")
    metadata = (info / "METADATA").read_text()
    (info / "METADATA").write_text(metadata.replace("2.5", "3.5"))
    fine(checked("alpha>=3"))
    (info / "METADATA").write_text("")
    only(checked("alpha>=3"), "PW-PKG-006", "missing or empty")
    (info / "METADATA").write_text(metadata)
    only(checked("alpha>=3"), "PW-PKG-002", "2.5")
    shutil.rmtree(site.path / "alpha")
    only(checked("alpha"), "PW-PKG-006", "none of its modules")


def test_a_pre_release_that_is_installed_counts(site: SiteFolder) -> None:
    site.add("alpha", "3.0rc1")
    fine(checked("alpha>=2"))
    fine(checked("alpha>=3.0rc1"))
    only(checked("alpha>=3"), "PW-PKG-002", "3.0rc1")


def test_a_version_that_is_none(site: SiteFolder) -> None:
    site.add("alpha", "home-made")
    only(checked("alpha>=1"), "PW-PKG-002", "no version that could be compared")


def test_names_are_normalised(site: SiteFolder) -> None:
    site.add("Some.Name-Thing", module="some_name")
    for spelling in ("some-name-thing", "SOME_NAME.THING", "Some.Name_thing"):
        fine(checked(spelling))


def test_markers(site: SiteFolder) -> None:
    assert "not needed here" in fine(checked('gone; sys_platform == "no-such-system"'))[0]["message"]
    only(checked('gone; python_version >= "3"'), "PW-PKG-001")
    site.add("alpha", requires=['gone; sys_platform == "no-such-system"', 'beta; python_version >= "3"'])
    site.add("beta")
    fine(checked("alpha"))


def test_what_a_package_needs_in_turn(site: SiteFolder) -> None:
    site.add("alpha", requires=["beta>=1"])
    site.add("beta", requires=["gamma"])
    only(checked("alpha"), "PW-PKG-003", "alpha -> beta -> gamma", "gamma is not installed")
    site.add("gamma", "0.5", requires=["delta>=2"])
    site.add("delta", "1.9")
    only(checked("alpha"), "PW-PKG-003", "alpha -> beta -> gamma -> delta", "1.9", 'pip install "delta>=2"')


def test_every_package_above_a_missing_one_is_told(site: SiteFolder) -> None:
    for name in ("alpha", "beta"):
        site.add(name, requires=["shared"])
    site.add("shared", requires=["gone"])
    findings = checked("alpha", "beta")
    assert [(one["subject"], one["code"]) for one in findings] == [("alpha", "PW-PKG-003"), ("beta", "PW-PKG-003")]


def test_several_things_are_missing_beneath_one(site: SiteFolder) -> None:
    site.add("alpha", requires=["gone", "lost", "gone>=1"])
    assert sorted(one["cause"].split(":")[0] for one in checked("alpha")) == ["alpha -> gone", "alpha -> lost"]


def test_packages_that_need_each_other(site: SiteFolder) -> None:
    site.add("alpha", requires=["beta"])
    site.add("beta", requires=["alpha[more]"])
    fine(checked("alpha", "beta"))
    site.add("gamma", requires=["gamma", "delta"])
    site.add("delta", requires=["gamma", "gone"])
    only(checked("gamma"), "PW-PKG-003", "gamma -> delta -> gone")


def test_a_long_chain_is_followed_to_its_end(site: SiteFolder) -> None:
    for at in range(60):
        site.add(f"link{at}", requires=[f"link{at + 1}"])
    only(checked("link0"), "PW-PKG-003", "link60 is not installed")


def test_extras(site: SiteFolder) -> None:
    site.add("alpha", requires=['gone; extra == "gpu"', 'beta[deep]; extra == "Web_UI"'], extras=["gpu", "web-ui"])
    site.add("beta", requires=['lost; extra == "deep"'], extras=["deep"])
    fine(checked("alpha"))
    only(checked("alpha[gpu]"), "PW-PKG-003", "gone")
    only(checked("alpha[web.ui]"), "PW-PKG-003", "alpha -> beta -> lost")
    assert "no extra tpu" in fine(checked("alpha[tpu]"))[0]["cause"]


def test_an_extra_that_leads_back_to_its_package(site: SiteFolder) -> None:
    site.add("alpha", requires=['alpha[one,two]; extra == "all"', 'gone; extra == "two"'], extras=["all", "one", "two"])
    only(checked("alpha[all]"), "PW-PKG-003", "gone")


def test_urls(site: SiteFolder) -> None:
    url = "https://example.org/alpha-1.0-py3-none-any.whl"
    only(checked(f"alpha @ {url}"), "PW-PKG-001", "alpha")
    site.add("alpha", files={"direct_url.json": json.dumps({"url": url, "archive_info": {}})})
    assert fine(checked(f"alpha @ {url}"))[0]["cause"] == ""
    assert "not installed from" in fine(checked("alpha @ https://example.org/other.whl"))[0]["cause"]


@pytest.mark.parametrize("text", ["numpy >= >= 1", "./local/folder", "-r requirements.txt", "a b", "x[", "9~!"])
def test_what_is_no_requirement(text: str) -> None:
    found = only(checked(text), "PW-PKG-004", "not a valid requirement")
    assert found["subject"] == text


def test_a_mistake_in_another_packages_metadata_is_passed_over(site: SiteFolder) -> None:
    site.add("alpha", requires=["beta >= ,", 'beta; nonsense == "1"', "beta"])
    site.add("beta")
    fine(checked("alpha"))


def test_a_dist_info_without_metadata(site: SiteFolder) -> None:
    info = site.add("alpha")
    (info / "METADATA").unlink()
    only(checked("alpha"), "PW-PKG-006", "metadata", "--force-reinstall")
    (info / "METADATA").write_bytes(b"\xff\xfe\x00 no text")
    only(checked("alpha"), "PW-PKG-006")
    (info / "METADATA").write_text("Name: alpha\n\n")
    only(checked("alpha"), "PW-PKG-006", "no version")
    site.add("beta", requires=["alpha"])
    only(checked("beta"), "PW-PKG-003", "beta -> alpha", "--force-reinstall")


def test_what_an_interrupted_uninstall_leaves_beside_a_whole_package(site: SiteFolder) -> None:
    (site.path / "alpha-0.9.dist-info").mkdir()
    site.add("alpha", "1.0")
    assert "1.0" in fine(checked("alpha"))[0]["message"]


def test_modules_that_are_gone(site: SiteFolder) -> None:
    site.add("alpha")
    shutil.rmtree(site.path / "alpha")
    only(checked("alpha"), "PW-PKG-006", "none of its modules")


def test_an_editable_installation(site: SiteFolder, tmp_path: Path) -> None:
    site.add("alpha", files={"direct_url.json": '{"url": "file:///src", "dir_info": {"editable": true}}'})
    shutil.rmtree(site.path / "alpha")
    (site.path / "alpha.pth").write_text(str(tmp_path / "src"))
    fine(checked("alpha"))


def test_the_range_of_python_versions() -> None:
    fine(checked(python=">=3.10"))
    fine(checked(python=f"{sys.version_info.major}.{sys.version_info.minor}"))
    for outside in (">=3.10,<3.10.1", "3.9", "3.9.*", "2"):
        found = only(checked(python=outside), "PW-ENV-003", "this is Python")
        assert (found["kind"], found["subject"]) == ("platform", "python")
    assert only(checked(python=">=three"), "PW-PKG-004")["kind"] == "platform"


def test_modules_of_python_itself() -> None:
    for module in ("json", "os", "sys"):
        (found,) = fine(checked(module))
        assert f"{module} is a module of Python itself" in found["cause"]
    only(checked("json>=99"), "PW-PKG-002")


def test_names_under_which_packages_are_imported(site: SiteFolder) -> None:
    site.add("py-alpha", "2.0", ["beta"], module="alfa", code="raise SystemExit('it was imported')")
    only(checked("alfa"), "PW-PKG-003", "beta")
    site.add("beta")
    (found,) = fine(checked("alfa>=2"))
    assert (found["message"], found["cause"]) == ("py-alpha 2.0 is installed", "alfa is a module of py-alpha")
    only(checked("alfa>=3"), "PW-PKG-002")
    assert plugward.DependencyChecker().check_package("alfa")


def test_a_module_of_no_distribution(site: SiteFolder) -> None:
    (site.path / "loose.py").write_text("")
    (site.path / "folder").mkdir()
    (found,) = fine(checked("loose"))
    assert "loose.py" in found["cause"]
    only(checked("loose>=1"), "PW-PKG-002", "not known")
    only(checked("folder"), "PW-PKG-001")


def test_a_native_plugin_may_need_packages_too(site: SiteFolder, tmp_path: Path) -> None:
    manifest = {"name": "n", "kind": "native", "entrypoint": "libn.so", "dependencies": ["alpha>=2"]}
    (tmp_path / "n").mkdir()
    (tmp_path / "n" / "manifest.json").write_text(json.dumps(manifest))
    with plugward.Runtime() as runtime:
        (report,) = runtime.load(tmp_path / "n")
        assert (report.state, report.code) == ("UNAVAILABLE", "PW-PKG-001")
        site.add("alpha", "2.0")
        assert runtime.restart("n").code != "PW-PKG-001", "now it is only its library that is missing"
