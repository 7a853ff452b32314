"""Decide what a model's entry in ``models.config`` becomes when its labels move. Pure functions."""

from collections.abc import Mapping
from dataclasses import replace

from serving.artifacts.models_config import ModelConfig, aspired_versions


def with_labels(model: ModelConfig, versions: list[int], labels: Mapping[str, int]) -> ModelConfig:
    """Return the entry with these labels. It loads the two newest versions and all that have a label.

    The entry lists the versions, unless the newest is the only one with a label: with ``latest``, the next version
    would unload a labelled one.
    """
    newest = sorted(versions)[-2:]
    if set(labels.values()) <= set(newest[-1:]):
        return replace(model, latest=2, specific=(), labels=dict(labels))
    return replace(model, specific=tuple(sorted({*newest, *labels.values()})), labels=dict(labels))


def first_step(before: ModelConfig, after: ModelConfig, versions: list[int]) -> ModelConfig:
    """Return the part of a change that a model server accepts at once.

    A label that moves to a version which ``before`` does not load keeps its version for now. TensorFlow Serving would
    refuse the whole configuration and never load the version, even with
    --allow_version_labels_for_unavailable_models (server_core.cc, UpdateModelVersionLabelMap).
    """
    new = set(aspired_versions(after, versions)) - set(aspired_versions(before, versions))
    kept = {label: before.labels[label] for label, to in after.labels.items() if to in new and label in before.labels}
    if not kept:
        return after
    loaded = {*aspired_versions(after, versions), *(set(kept.values()) & set(versions))}
    return replace(after, specific=tuple(sorted(loaded)), labels={**after.labels, **kept})
