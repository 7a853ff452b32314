"""Whether the gateway is ready: a pure function of what it knows."""

from collections.abc import Mapping

from serving.gateway.route import ModelState


def reasons_against(models: Mapping[str, ModelState], names_problem: str | None, draining: bool) -> list[str]:
    """Why it is not ready; empty where it is: every configured model has an AVAILABLE version, as the model server
    itself says."""
    reasons = ["the gateway is shutting down"] if draining else []
    if not models:
        reasons.append(names_problem or "no models are configured")
    for name, state in models.items():
        if state.problem is not None:
            reasons.append(f"model {name}: {state.problem}")
        elif not state.servables:
            states = ", ".join(f"version {version} is {status.state}" for version, status in state.states.items())
            reasons.append(f"model {name} has no AVAILABLE version{f': {states}' if states else ''}")
    return reasons
