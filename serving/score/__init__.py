"""Bulk scoring: one model version over many inputs, without a server.

:mod:`serving.score.inputs` says what the rows are, :mod:`serving.score.model` scores a batch of them,
:mod:`serving.score.parts` goes through them part by part, here or (:mod:`serving.score.on_ray`) on Ray's workers.
"""
