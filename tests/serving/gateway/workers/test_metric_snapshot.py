"""Metrics of several workers as one."""

from serving.gateway.workers.metric_snapshot import Family, cumulative, merge


def family(name: str, kind: str, *values: tuple[str, float]) -> Family:
    return Family(name=name, type=kind, help="", samples=[(name, {"model": model}, value) for model, value in values])


def values(families: list[Family]) -> dict[str, dict[str, float]]:
    return {one["name"]: {labels["model"]: value for _, labels, value in one["samples"]} for one in families}


FIRST = [
    family("requests", "counter", ("a", 3), ("b", 1)),
    family("seconds", "histogram", ("a", 0.5)),
    family("vitrine_in_flight", "gauge", ("", 2)),
    family("vitrine_model_ready", "gauge", ("a", 1), ("b", 1)),
    family("vitrine_file_refused", "gauge", ("", 0)),
]
SECOND = [
    family("requests", "counter", ("a", 4), ("c", 1)),
    family("seconds", "histogram", ("a", 0.25)),
    family("vitrine_in_flight", "gauge", ("", 5)),
    family("vitrine_model_ready", "gauge", ("a", 1), ("b", 0)),
    family("vitrine_file_refused", "gauge", ("", 1)),
    family("only_here", "gauge", ("", 7)),
]


def test_counters_are_added_and_gauges_merged_by_their_meaning() -> None:
    assert values(merge([FIRST, SECOND])) == {
        "requests": {"a": 7, "b": 1, "c": 1},
        "seconds": {"a": 0.75},
        "vitrine_in_flight": {"": 7},
        "vitrine_model_ready": {"a": 1, "b": 0},
        "vitrine_file_refused": {"": 1},
        "only_here": {"": 7},
    }


def test_of_a_dead_worker_counters_and_histograms_stay() -> None:
    assert values(cumulative(SECOND)) == {"requests": {"a": 4, "c": 1}, "seconds": {"a": 0.25}}
    assert merge([[], FIRST]) == FIRST
