"""The embedded model server: TensorFlow Serving's flags, files, RPCs and REST paths without a container.

The parts carry TensorFlow Serving's names. A Source (:mod:`.core.source`) watches directories and reports the aspired
versions. The Manager (:mod:`.core.manager`) loads and unloads by policy (:mod:`.core.version_policy`). A Loader
(:mod:`.core.loader`) makes a Servable (:mod:`.core.servable`) with an engine (:mod:`.engines`), and a handle keeps it
alive during use. ServerCore (:mod:`.core.server_core`) adds the configuration and the labels.

:mod:`.inference` runs signatures on arrays; :mod:`.startup` builds and loads all of this without a port, which the
gateway uses in its own process. :mod:`.grpc_api` and :mod:`.rest` are the network interfaces, :mod:`.ports` opens them,
and :mod:`.server` is the program.
"""
