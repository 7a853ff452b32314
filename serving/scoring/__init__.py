"""Bulk scoring: one model version over many inputs, without a server.

:mod:`serving.scoring.inputs` says what the rows are, :mod:`serving.scoring.model` scores a batch of them,
:mod:`serving.scoring.parts` goes through them part by part, here or (:mod:`serving.scoring.on_ray`) on Ray's workers.
"""
