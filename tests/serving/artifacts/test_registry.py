"""The registry: complete versions or none, unique numbers, labels that move."""

import itertools
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving.artifacts import manifest, models_config
from serving.artifacts.backends.local import versions_in
from serving.artifacts.manifest import MANIFEST_FILE
from serving.artifacts.model_card import ModelCardError
from serving.artifacts.models_config import ConfigError, ModelConfig
from serving.artifacts.registry import ModelRegistry, RegistryError
from serving.artifacts.version_labels import first_step, with_labels
from tests.killed import killed_after
from tests.programs import REPOSITORY
from tests.serving.artifacts.test_atomic_write import leave_temporary_file


def publish(registry: ModelRegistry, model: str = "m", text: str = "weights") -> int:
    with registry.staging(model) as directory:
        (directory / "saved_model.pb").write_text(text, encoding="utf-8")
        return registry.publish(model, directory)


def test_versions_count_up_and_staging_is_removed(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    assert [publish(registry), publish(registry)] == [1, 2]
    assert sorted(entry.name for entry in (tmp_path / "m").iterdir()) == ["1", "2"]
    assert manifest.check(tmp_path / "m" / "2") is None


def test_a_failure_while_staging_leaves_no_files(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    with pytest.raises(RuntimeError), registry.staging("m") as directory:
        (directory / "saved_model.pb").write_text("half", encoding="utf-8")
        raise RuntimeError("the trainer was killed")
    assert list(tmp_path.iterdir()) == []
    assert registry.models() == []


def test_publishers_at_once_get_different_numbers(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from serving.artifacts.registry import ModelRegistry\n"
        "registry = ModelRegistry(Path(sys.argv[1]))\n"
        "for _ in range(10):\n"
        "    with registry.staging('m') as d:\n"
        "        (d / 'saved_model.pb').write_text('x')\n"
        "        print(registry.publish('m', d))\n"
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
        )
        for _ in range(3)
    ]
    numbers = [int(line) for run in runs for line in run.communicate()[0].split()]
    assert sorted(numbers) == list(range(1, 31))


def test_only_numbers_are_versions(tmp_path: Path) -> None:
    for name in ("1", "007", "x", ".staging-1", "-3", "1.5", str(2**63)):
        (tmp_path / name).mkdir()
    (tmp_path / "9").write_text("a file", encoding="utf-8")
    assert versions_in(tmp_path) == [1, 7]


def test_promote_and_rollback_move_labels(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    for _ in range(3):
        publish(registry)
    assert registry.live("m") == 3
    registry.promote("m", 2)
    registry.promote("m", 3)
    assert registry.labels("m") == {"stable": 3, "previous": 2}
    assert registry.rollback("m") == (3, 2)
    assert registry.live("m") == 2
    assert registry.labels("m") == {"stable": 2, "previous": 3}
    assert registry.rollback("m") == (2, 3)


def test_labelled_versions_stay_loaded(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path, settle=0)
    for _ in range(4):
        publish(registry)
    registry.promote("m", 4)
    assert models_config.read(registry.root / "models.config")["m"].specific == (3, 4)
    assert registry.promote("m", 1) == 4
    assert models_config.read(registry.root / "models.config")["m"].specific == (1, 3, 4)
    assert registry.labels("m") == {"stable": 1, "previous": 4}


def test_a_label_moves_only_to_a_loaded_version() -> None:
    """TensorFlow Serving refuses a whole configuration with a label of an unloaded version."""
    before = ModelConfig("m", "/models/m", specific=(3, 4), labels={"stable": 4, "canary": 3})
    after = with_labels(before, [1, 3, 4], {"stable": 1, "previous": 4, "canary": 3})
    first = first_step(before, after, [1, 3, 4])
    assert (first.specific, first.labels) == ((1, 3, 4), {"stable": 4, "canary": 3})
    assert first_step(first, after, [1, 3, 4]) == after
    new = with_labels(
        before, [1, 3, 4], {**before.labels, "shadow": 1}
    )  # a new label may point at a version that is not loaded
    assert first_step(before, new, [1, 3, 4]) == new
    latest = ModelConfig("m", "/models/m", latest=2, labels={"stable": 1})  # version 2 is new
    after = with_labels(latest, [1, 2], {"stable": 2, "previous": 1})
    assert first_step(latest, after, [1, 2]) == after


def test_the_live_version_stays_loaded_while_newer_ones_are_published(tmp_path: Path) -> None:
    """``latest`` would unload version 1 when 3 appears, although nobody promoted 3."""
    registry = ModelRegistry(tmp_path, settle=0)
    publish(registry)
    registry.promote("m", 1)
    for loaded in ((1, 2), (1, 2, 3), (1, 3, 4)):
        before = models_config.read(registry.root / "models.config")["m"]
        assert before.specific or registry.versions("m") == [1]
        publish(registry)
        assert models_config.read(registry.root / "models.config")["m"].specific == loaded
    assert registry.labels("m") == {"stable": 1}


def test_killed_publishers_leave_the_live_version_loaded(tmp_path: Path) -> None:
    """Each is killed after its version appears and before models.config lists it."""
    registry = ModelRegistry(tmp_path, settle=0)
    publish(registry)
    only = ModelConfig("m", "/models/m", latest=2, labels={"stable": 1})  # as older releases wrote it
    (tmp_path / "models.config").write_text(models_config.render({"m": only}), encoding="utf-8")
    for newest in (2, 3, 4):
        for operations in itertools.count():
            with killed_after(operations):
                publish(registry)
            if registry.versions("m")[-1] == newest:
                break
        assert 1 in models_config.aspired_versions(registry.configured()["m"], registry.versions("m"))


def test_a_killed_promotion_leaves_the_version_to_roll_back_to(tmp_path: Path) -> None:
    for operations in itertools.count():
        registry = ModelRegistry(tmp_path / str(operations), settle=0)
        for _ in range(5):
            publish(registry)
        registry.promote("m", 2)
        registry.promote("m", 3)
        with killed_after(operations):
            registry.promote("m", 1)
            break
        assert registry.labels("m") in ({"stable": 3, "previous": 2}, {"stable": 1, "previous": 3})
    assert operations > 3


def test_publishing_does_not_configure_an_unpromoted_model(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    publish(registry)
    assert models_config.read(registry.root / "models.config") == {}


@pytest.mark.parametrize("label", ["", "7", "a b", "a/b", '"', ":predict"])
def test_invalid_labels_are_rejected(tmp_path: Path, label: str) -> None:
    registry = ModelRegistry(tmp_path)
    publish(registry)
    with pytest.raises(RegistryError, match="is not a label"):
        registry.promote("m", 1, label)


def test_errors_list_what_exists(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    publish(registry)
    with pytest.raises(RegistryError, match="m has no version 7; there are: 1"):
        registry.promote("m", 7)
    with pytest.raises(RegistryError, match="there is no model n; there are: m"):
        registry.promote("n", 1)
    with pytest.raises(RegistryError, match="no version before 1"):
        registry.rollback("m")
    with pytest.raises(RegistryError, match="is not a model name"), registry.staging("../m"):
        pass


def test_a_damaged_version_is_not_promoted(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    publish(registry)
    (tmp_path / "m" / "1" / "saved_model.pb").write_text("other", encoding="utf-8")
    with pytest.raises(RegistryError, match=r"saved_model\.pb is not the file that was published"):
        registry.promote("m", 1)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A small real file system: a tmpfs of 64 kB, if the machine permits a mount."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield small
    subprocess.run(["umount", str(small)], check=True)


def test_a_full_disk_leaves_no_version(small: Path) -> None:
    registry = ModelRegistry(small)
    with pytest.raises(OSError, match="No space left"), registry.staging("m") as directory:
        (directory / "saved_model.pb").write_bytes(bytes(200_000))
    assert registry.models() == [] and not (small / "m").exists()


@pytest.mark.parametrize("pages", [0, 1])
def test_a_disk_that_fills_up_while_publishing_leaves_no_version(small: Path, pages: int) -> None:
    """With no page left the manifest cannot be written; with one it can, but models.config cannot."""
    registry = ModelRegistry(small)
    publish(registry)
    registry.promote("m", 1)
    config = (registry.root / "models.config").read_bytes()
    with pytest.raises(OSError, match="No space left"), registry.staging("m") as directory:
        (directory / "saved_model.pb").write_text("whole", encoding="utf-8")
        free = os.statvfs(small).f_bavail * os.statvfs(small).f_frsize
        (small / "ballast").write_bytes(bytes(free - pages * resource.getpagesize()))
        registry.publish("m", directory)
    assert sorted(path.name for path in small.iterdir()) == [".lock", "ballast", "m", "models.config"]
    assert [path.name for path in (small / "m").iterdir()] == ["1"]
    assert (registry.root / "models.config").read_bytes() == config


def test_an_invalid_models_config_prevents_publishing(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    publish(registry)
    (tmp_path / "models.config").write_text("model_config_list {")
    with pytest.raises(ConfigError, match=r"models\.config"):
        publish(registry)
    assert registry.versions("m") == [1]
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["1"]


def test_links_that_lead_out_of_a_version_are_rejected(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "weights").write_text("w", encoding="utf-8")
    registry = ModelRegistry(tmp_path / "exports")
    for link, target in (("saved_model.pb", outside / "weights"), ("variables", outside), ("gone", tmp_path / "none")):
        with registry.staging("m") as directory:
            (directory / link).symlink_to(target)
            with pytest.raises(RegistryError, match=f"{link} is a symbolic link that leads out of the version"):
                registry.publish("m", directory)
    assert registry.versions("m") == []
    with registry.staging("m") as directory:
        (directory / "saved_model.pb").write_text("w", encoding="utf-8")
        (directory / "same.pb").symlink_to("saved_model.pb")
        registry.publish("m", directory)
    version = registry.directory("m", 1)
    assert manifest.check(version) is None
    (version / "variables").symlink_to(outside)
    assert manifest.check(version) == "variables is a symbolic link that leads out of the version"
    with pytest.raises(RegistryError, match="symbolic link"):
        registry.promote("m", 1)


def published_as(registry: ModelRegistry, name: str) -> Path:
    """Publish a version and rename its folder. Returns the folder."""
    number = publish(registry)
    return registry.directory("m", number).rename(Path(registry.root) / "m" / name)


@pytest.mark.parametrize("name", ["1", "001"])
@pytest.mark.parametrize("has_manifest", [True, False])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: (d / "saved_model.pb").write_text("weight"), "saved_model.pb is"),
        (lambda d: (d / "saved_model.pb").unlink(), "saved_model.pb is missing"),
        (lambda d: (d / "saved_model.pb").unlink() or os.mkfifo(d / "saved_model.pb"), "is a named pipe"),
        (lambda d: (d / "assets").symlink_to("assets"), "assets is a symbolic link that leads back to itself"),
        (lambda d: shutil.rmtree(d) or d.mkdir(), "its folder is empty"),
    ],
)
def test_unservable_versions_are_not_promoted(
    tmp_path: Path, name: str, has_manifest: bool, damage: Callable[[Path], object], words: str
) -> None:
    registry = ModelRegistry(tmp_path)
    directory = published_as(registry, name)
    if not has_manifest:
        (directory / MANIFEST_FILE).unlink()
    damage(directory)
    for label in ("stable", "canary"):
        with pytest.raises(RegistryError, match=f"m version 1 cannot be promoted: .*{words}"):
            registry.promote("m", 1, label)
    assert registry.labels("m") == {}


def test_a_version_with_leading_zeros_is_found(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    directory = published_as(registry, "001")
    assert (registry.versions("m"), registry.directory("m", 1)) == ([1], directory)
    registry.promote("m", 1)
    assert registry.live("m") == 1
    with pytest.raises(ModelCardError, match=r"no model card at .*m/001/assets\.extra/card\.json"):
        registry.card("m", 1)
    assert publish(registry) == 2


def test_a_card_that_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    publish(registry)
    os.mkfifo(tmp_path / "m" / "1" / "assets.extra" / "card.json")
    with pytest.raises(ModelCardError, match=r"card\.json is a named pipe"):
        registry.card("m", 1)
    with pytest.raises(RegistryError, match=r"card\.json is a named pipe"):
        registry.directory("m", 1)


def test_a_damaged_live_version_is_rolled_back(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path, settle=0)
    publish(registry)
    publish(registry)
    (tmp_path / "m" / "2" / "saved_model.pb").unlink()
    assert registry.rollback("m") == (2, 1)
    publish(registry)
    (tmp_path / "m" / "1" / "saved_model.pb").unlink()
    registry.promote("m", 3)
    with pytest.raises(RegistryError, match="m version 1 cannot be promoted"):
        registry.rollback("m")


def test_rollback_without_the_previous_version_goes_to_the_one_below(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path, settle=0)
    for _ in range(3):
        publish(registry)
    registry.promote("m", 2)
    registry.promote("m", 3)
    shutil.rmtree(tmp_path / "m" / "2")
    assert registry.rollback("m") == (3, 1)


def test_foreign_and_unreadable_entries_are_ignored(tmp_path: Path) -> None:
    """Runs as an unprivileged user, because root can read everything."""
    registry = ModelRegistry(tmp_path)
    publish(registry)
    publish(registry)
    for parent in (tmp_path, tmp_path / "m"):
        (parent / "lost+found").mkdir(mode=0o700)
        (parent / "notes.txt").write_text("mine", encoding="utf-8")
        os.mkfifo(parent / "7")
        (parent / "8").symlink_to("8")
    (tmp_path / "other").mkdir(mode=0)
    program = (
        "import sys; from serving.artifacts.registry import ModelRegistry\n"
        "from tests.serving.artifacts.test_registry import publish\n"
        "registry = ModelRegistry(sys.argv[1], settle=0)\n"
        "registry.promote('m', 2); registry.promote('m', 1); registry.rollback('m')\n"
        "print(registry.models(), registry.versions('m'), sorted(registry.labels('m').items()), publish(registry))"
    )
    unprivileged = []
    if os.geteuid() == 0:
        for path in (tmp_path / "lost+found", tmp_path / "m" / "lost+found", tmp_path / "other"):
            os.chown(path, 65534, 65534)
        rights = "-dac_override,-dac_read_search"
        unprivileged = ["setpriv", f"--inh-caps={rights}", f"--bounding-set={rights}"]
    command = [*unprivileged, sys.executable, "-c", program, str(tmp_path)]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert ran.stdout == "['m'] [1, 2] [('previous', 1), ('stable', 2)] 3\n", ran.stderr


def test_the_next_writer_removes_temporary_files_of_dead_ones(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    publish(registry)
    leave_temporary_file(tmp_path / "models.config")
    assert registry.models() == ["m"]
    registry.promote("m", 1)
    assert {path.name for path in tmp_path.iterdir()} == {"m", "models.config", ".lock"}


def test_the_next_publisher_removes_staging_of_dead_ones(tmp_path: Path) -> None:
    program = (
        "import sys; from serving.artifacts.registry import ModelRegistry\n"
        "with ModelRegistry(sys.argv[1]).staging('m') as d:\n"
        "    (d / 'saved_model.pb').write_text('half'); print(d.name, flush=True); sys.stdin.read()\n"
    )

    def publisher() -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-c", program, str(tmp_path)]
        run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
        assert run.stdout
        return run, run.stdout.readline().strip()

    (dead, left), (living, kept) = publisher(), publisher()
    dead.kill()
    dead.communicate()
    (tmp_path / "m" / ".staging-old").mkdir()
    os.mkfifo(tmp_path / "m" / ".staging-old" / "fifo")
    names = {path.name for path in (tmp_path / "m").iterdir()}
    assert names == {left, kept, ".staging-old"}
    assert publish(ModelRegistry(tmp_path)) == 1
    assert {path.name for path in (tmp_path / "m").iterdir()} == {kept, "1"}
    living.communicate("")
    assert {path.name for path in (tmp_path / "m").iterdir()} == {"1"}
