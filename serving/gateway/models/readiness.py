"""Readiness and its notes: pure functions of the state of the models."""

from collections.abc import Callable, Mapping

from serving.gateway.models.routing import ModelState


def reasons_against(
    models: Mapping[str, ModelState],
    names_problem: str | None,
    draining: bool,
    may_see: Callable[[str], bool] = lambda model: True,
    *,
    first_load: bool = False,
) -> list[str]:
    """Return the reasons against readiness.

    The gateway is ready if it can answer for a model: one model that does not load must not take the others away.
    Models that the caller may not see are counted, not named.

    Args:
        models: the current state.
        names_problem: why models.config was rejected.
        draining: whether the gateway shuts down.
        may_see: whether the caller may see a model's name.
        first_load: whether to wait for models that load, because the gateway has just started.
    """
    reasons = ["the gateway is shutting down"] if draining else []
    if not models:
        reasons.append(names_problem or "no models are configured")
    problems = model_problems(models)
    if len(problems) == len(models) or (first_load and is_loading(models)):
        reasons += for_caller(problems, len(models), may_see)
    return reasons


def model_problems(models: Mapping[str, ModelState]) -> dict[str, str]:
    """Return a sentence for each model that cannot answer."""
    problems = {}
    for name, state in models.items():
        if state.problem is not None:
            problems[name] = f"model {name}: {state.problem}"
        elif not state.versions:
            states = ", ".join(f"version {version} is {status.state}" for version, status in state.states.items())
            problems[name] = f"model {name} has no AVAILABLE version{f': {states}' if states else ''}"
    return problems


def for_caller(problems: Mapping[str, str], count: int, may_see: Callable[[str], bool]) -> list[str]:
    """Return the sentences about models that the caller may see, and count the others of ``count`` models."""
    reasons = [sentence for name, sentence in problems.items() if may_see(name)]
    unnamed = len(problems) - len(reasons)
    if unnamed:
        reasons.append(f"{unnamed} of {count} models cannot answer; a key for them shows which and why")
    return reasons


def is_loading(models: Mapping[str, ModelState]) -> bool:
    """Whether a model loads a version and has no AVAILABLE one yet."""
    return any(
        state.problem is None
        and not state.versions
        and any(status.state in ("START", "LOADING") for status in state.states.values())
        for state in models.values()
    )


def unreadable_cards(
    models: Mapping[str, ModelState], may_see: Callable[[str], bool] = lambda model: True
) -> list[str]:
    """Return a sentence for each version whose model card cannot be read.

    Such a version answers by its signatures, so this is no reason against readiness. Models that the caller may not see
    are counted, not named.
    """
    found = [
        (name, f"model {name} version {version.version} answers by its signatures alone: {version.card_problem}")
        for name, state in models.items()
        for version in state.versions.values()
        if version.card_problem is not None
    ]
    notes = [note for name, note in found if may_see(name)]
    unnamed = len({name for name, _ in found if not may_see(name)})
    if unnamed:
        notes.append(f"{unnamed} of {len(models)} models have a card that cannot be read; a key for them shows which")
    return notes
