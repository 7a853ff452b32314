"""The embedded model server: TensorFlow Serving's flags, files and RPCs, without a container.

The parts carry TensorFlow Serving's names. A Source (:mod:`.source`) watches directories and says which versions are
aspired; the Manager (:mod:`.manager`) loads and unloads by policy (:mod:`.policy`); a loader (:mod:`.loader`) makes a
Servable (:mod:`.servable`) with one of two engines behind it; a handle keeps a version alive while it is in use.
:mod:`.core` ties them to the configured models and their labels, and :mod:`.service` answers the RPCs.
"""
