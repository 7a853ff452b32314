"""The registry under random schedules of publishers, rollouts, damage, and kills between any two file operations.

Every version is whole, the live version is the one that was promoted and model servers load it, and a rollback returns
to the version that was live before.
"""

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.strategies import data, integers, none, one_of, sampled_from

from serving.artifacts import manifest, models_config, rollout
from serving.artifacts.models_config import CONFIG_FILE, aspired_versions
from serving.artifacts.registry import PREVIOUS, STABLE, ModelRegistry, RegistryError
from tests.killed import killed_after, watched

MODEL = "m"
NEVER = 10_000
#: After how many file operations a command is killed; mostly it is not.
KILL = one_of(none(), integers(0, 12))


class RegistrySchedule(RuleBasedStateMachine):
    """One model. The machine knows what each version holds and which one is live."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.registry = ModelRegistry(self.root, settle=0)
        self.watching = contextlib.ExitStack()
        self.watching.enter_context(watched(self.check_write))
        self.contents: dict[int, str] = {}
        self.damaged: set[int] = set()
        self.removed: set[int] = set()
        self.live: int | None = None
        self.texts = itertools.count(1)
        self.building: list[tuple[contextlib.ExitStack, Path, str]] = []

    def check_write(self, draft: str, target: str) -> None:
        """Model servers refuse a configuration in which a label moves to a version that the one before did not load."""
        if target != str(self.root / CONFIG_FILE):
            return
        before, after = models_config.read(Path(target)).get(MODEL), models_config.read(Path(draft))[MODEL]
        versions = self.registry.versions(MODEL)
        assert set(after.labels.values()) <= set(aspired_versions(after, versions))
        if before is not None:
            loaded = aspired_versions(before, versions)
            moved = {label: to for label, to in after.labels.items() if before.labels.get(label, to) != to}
            assert set(moved.values()) <= set(loaded), f"{moved} moved; {loaded} are loaded"

    def run(self, kill: int | None, step: Callable[[], Any]) -> bool:
        """Run a command; return whether it did what it says. A rejected one leaves the live version as it is."""
        done = False
        with killed_after(NEVER if kill is None else kill), contextlib.suppress(RegistryError):
            step()
            done = True
        return done

    @initialize()
    def begin(self) -> None:
        self.publish(None)

    @rule()
    def stage(self) -> None:
        """Begin to build a version, while others publish."""
        held, text = contextlib.ExitStack(), f"weights {next(self.texts)}"
        directory = held.enter_context(self.registry.staging(MODEL))
        (directory / "saved_model.pb").write_text(text, encoding="utf-8")
        self.building.append((held, directory, text))

    @precondition(lambda self: self.building)
    @rule(drawn=data(), kill=KILL)
    def publish_staged(self, drawn: Any, kill: int | None) -> None:
        held, directory, text = self.building.pop(drawn.draw(integers(0, len(self.building) - 1)))
        with killed_after(NEVER if kill is None else kill), held:
            self.registry.publish(MODEL, directory)
        self.see_new(text)

    @precondition(lambda self: self.building)
    @rule(drawn=data())
    def kill_builder(self, drawn: Any) -> None:
        held, _, _ = self.building.pop(drawn.draw(integers(0, len(self.building) - 1)))
        with killed_after(0), held:
            pass

    @rule(kill=KILL)
    def publish(self, kill: int | None) -> None:
        text = f"weights {next(self.texts)}"

        def step() -> None:
            with self.registry.staging(MODEL) as directory:
                (directory / "saved_model.pb").write_text(text, encoding="utf-8")
                self.registry.publish(MODEL, directory)

        done = self.run(kill, step)
        self.see_new(text)
        assert not done or text in self.contents.values()
        if done:
            staging = {path.name for path in (self.root / MODEL).glob(".staging-*")}
            assert staging == {directory.name for _, directory, _ in self.building}, "a dead publisher's files stay"

    def see_new(self, text: str) -> None:
        new = [number for number in self.registry.versions(MODEL) if number not in self.contents]
        assert len(new) <= 1
        for number in new:
            assert number > max(self.contents, default=0)
            assert manifest.check(self.registry.directory(MODEL, number)) is None
            self.contents[number] = text
            if not self.registry.labels(MODEL).get(STABLE):
                self.live = number

    @rule(drawn=data(), kill=KILL, label=sampled_from((STABLE, STABLE, "next")))
    def promote(self, drawn: Any, kill: int | None, label: str) -> None:
        version = drawn.draw(sampled_from(sorted(self.contents)))
        done = self.run(kill, lambda: rollout.promote(self.registry, MODEL, version, label))
        assert not done or self.registry.labels(MODEL)[label] == version
        assert not done or version not in self.damaged
        if label == STABLE:
            self.expect_live(done, version)

    @rule(drawn=data(), kill=KILL, percent=sampled_from((5, 50)))
    def canary(self, drawn: Any, kill: int | None, percent: float) -> None:
        version = drawn.draw(sampled_from(sorted(self.contents)))
        done = self.run(kill, lambda: rollout.canary(self.registry, MODEL, version, percent))
        assert not done or self.registry.routing()[MODEL].canary.version == version  # type: ignore[union-attr]
        assert not done or version in self.loaded()

    @rule(kill=KILL)
    def end_canary(self, kill: int | None) -> None:
        if self.run(kill, lambda: rollout.off(self.registry, MODEL, rollout.CANARY)):
            assert MODEL not in self.registry.routing()

    @rule(kill=KILL)
    def rollback(self, kill: int | None) -> None:
        routed = self.registry.routing().get(MODEL)
        canary = routed and routed.canary and routed.canary.version
        before = self.registry.labels(MODEL).get(PREVIOUS)
        below = [number for number in self.contents if self.live is not None and number < self.live]
        before = before if before in self.contents else max(below, default=None)
        target = before if canary in (None, self.live) else self.live
        done = self.run(kill, lambda: rollout.rollback(self.registry, MODEL))
        servable = target is not None and (target not in self.damaged or target == self.live)
        assert done or kill is not None or not servable, "a rollback was refused"
        if target is not None:
            self.expect_live(done, target)

    @rule(drawn=data())
    def promote_and_roll_back(self, drawn: Any) -> None:
        """A promotion is undone by a rollback."""
        self.run(None, lambda: rollout.off(self.registry, MODEL, rollout.CANARY))
        version = drawn.draw(sampled_from(sorted(self.contents)))
        before = self.registry.labels(MODEL).get(STABLE)
        if before in (None, version) or {before, version} & self.damaged:
            return
        rollout.promote(self.registry, MODEL, version)
        assert rollout.rollback(self.registry, MODEL) == rollout.Moved(before, before=version)

    def expect_live(self, done: bool, version: int) -> None:
        """A killed command has moved the label or has not."""
        found = self.registry.live(MODEL)
        assert found == version if done else found in (version, self.live)
        self.live = found

    @rule(drawn=data())
    def damage(self, drawn: Any) -> None:
        version = drawn.draw(sampled_from(sorted(self.contents)))
        (self.root / MODEL / str(version) / "saved_model.pb").write_text("damaged", encoding="utf-8")
        self.damaged.add(version)

    @rule(drawn=data())
    def remove(self, drawn: Any) -> None:
        """Somebody removes a version by hand."""
        removable = sorted(set(self.contents) - {self.live, max(self.contents), *self.loaded()[-1:]})
        if removable:
            version = drawn.draw(sampled_from(removable))
            shutil.rmtree(self.root / MODEL / str(version))
            del self.contents[version]
            self.removed.add(version)
            self.damaged.discard(version)

    def loaded(self) -> list[int]:
        """Return the versions that model servers load."""
        entry = self.registry.configured().get(MODEL)
        return aspired_versions(entry, self.registry.versions(MODEL)) if entry is not None else []

    @invariant()
    def versions_are_whole(self) -> None:
        assert self.registry.versions(MODEL) == sorted(self.contents)
        for version in self.contents.keys() - self.damaged:
            directory = self.root / MODEL / str(version)
            assert (directory / manifest.MANIFEST_FILE).is_file()
            assert (directory / "saved_model.pb").read_text(encoding="utf-8") == self.contents[version]

    @invariant()
    def the_live_version_is_loaded(self) -> None:
        assert self.registry.live(MODEL) == self.live
        labels, loaded = self.registry.labels(MODEL), self.loaded()
        if not labels:
            return
        assert self.live in loaded or (loaded and STABLE not in labels)
        assert set(labels.values()) <= {*loaded, *self.removed}
        assert PREVIOUS not in labels or labels[PREVIOUS] != labels.get(STABLE)

    def teardown(self) -> None:
        for held, _, _ in self.building:
            held.close()
        self.watching.close()
        self.folder.cleanup()


TestRegistrySchedule = RegistrySchedule.TestCase
