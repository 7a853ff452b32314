"""Bulk scoring: run one model version over many inputs, without a server.

:mod:`serving.scoring.inputs` finds the rows, :mod:`serving.scoring.model` scores a batch,
:mod:`serving.scoring.parts` runs all batches and resumes, in this process or on Ray (:mod:`serving.scoring.on_ray`).
"""
