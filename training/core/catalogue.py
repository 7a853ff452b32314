"""Names, titles and options of all jobs and studies.

Their modules are imported on demand, so that listing them and checking a command needs no TensorFlow.
"""

import importlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from training.core.errors import JobError
from training.core.job import CSV_OPTIONS

if TYPE_CHECKING:
    from training.core.job import Job
    from training.experiments.study import Study

#: Titles of the jobs, by name.
JOBS = {
    "boston_decay": "Boston house values by a dense net, decaying learning rate",
    "boston_default": "Boston house values by a dense net, Adam's own learning rate",
    "cifar10_residual": "CIFAR-10 by a residual net with dropout on convolutions, L1 and L2",
    "cifar100_deep": "CIFAR-100 by six convolutions",
    "cifar100_shallow": "CIFAR-100 by four convolutions",
    "clothing_photos": "ten kinds of clothes from photographs as people take them, by fine-tuning MobileNetV2",
    "compound_interest": "compound interest in three ways, served by a recurrent cell",
    "conv1d_a": "1,024-sample signals by 1-D convolutions with pooling",
    "conv1d_b": "1,024-sample signals by 1-D convolutions with strides",
    "conv2d_1024": "encoder of 1024×1024 pictures by four convolutions",
    "forecaster": "next values of a series of your own, by one of twelve forecasters",
    "fashion_augmented": "Fashion-MNIST by a residual net on augmented pictures, better than the course's",
    "fashion_cnn": "Fashion-MNIST classifier with separable convolutions",
    "fashion_embedding": "Fashion-MNIST encoder with a 64-value embedding",
    "fashion_inception": "Fashion-MNIST by two Inception-V1 modules, on 800 pictures",
    "fashion_metric": "Fashion-MNIST encoder by the triplet loss, with similar items",
    "fashion_resnet": "Fashion-MNIST by three residual blocks, on 800 pictures",
    "image_classifier": "pictures of your own classes, by transfer from MobileNetV2",
    "mnist_transfer": "digits by transfer from a trained fashion_cnn",
    "sine_forecaster": "next values of noisy sums of sines by a temporal convolution",
    "sine_rnn": "next value of a sine by one recurrent cell",
    "stock_forecaster": "next days' prices by a gated recurrent net over returns",
    "stock_rnn": "next day's price by four recurrent cells",
    "xo_cnn": "X or O, a small convolutional net from scratch",
    "xo_mobilenet": "X or O, transfer from MobileNetV2",
}

#: Jobs that have no data without the user's.
OWN_DATA = frozenset({"forecaster", "image_classifier"})

#: Titles of the studies, by name.
STUDIES = {
    "bagging": "several small nets on bootstrap samples against each alone",
    "batch_size": "test error on Boston Housing, by batch size",
    "coarse_to_fine": "optimiser, learning rate, momentum and batch size in two stages, on Boston Housing",
    "learning_rate_decay": "learning rates that stay and that decay, on Boston Housing",
    "losses": "squared error, cross-entropy, 0-1 and hinge loss on ten points",
    "regularisation": "dropout, L1, L2 and batch normalisation, one at a time",
    "ten_pictures": "two training pictures of X or O after 100 and 200 epochs of transfer",
    "transfer": "transfer against scratch on X and O, by number of pictures",
}

#: Options that only some jobs and studies take, with their names: the fields of JobOptions and of Job.takes.
TAKES = {
    "stand_in": (
        *("cifar100_deep", "cifar100_shallow", "cifar10_residual", "fashion_augmented", "fashion_cnn"),
        *("fashion_embedding", "fashion_inception", "fashion_metric", "fashion_resnet", "mnist_transfer"),
        *("bagging", "regularisation"),
    ),
    **dict.fromkeys(CSV_OPTIONS, ("forecaster", "stock_forecaster", "stock_rnn")),
    "data_dir": ("image_classifier", "xo_cnn", "xo_mobilenet"),
    "head": ("xo_mobilenet",),
    "from_version": ("mnist_transfer",),
}

#: Jobs that start from a published version of another model, as in Job.starts_from.
STARTS_FROM = {"mnist_transfer": "fashion_cnn"}

#: Jobs that a worker group cannot share, as in Job.whole_batches.
WHOLE_BATCHES = ("conv2d_1024", "fashion_metric")

#: Jobs without hyper-parameters to search.
NOT_SEARCHED = ("compound_interest",)


def find(name: str) -> "Job":
    """Import and return a job.

    Raises:
        JobError: no job has that name.
    """
    check_job(name)
    job: Job = importlib.import_module(f"training.jobs.{name}").JOB
    return job


def check_job(name: str) -> None:
    """Raise JobError if no job has that name."""
    if name not in JOBS:
        raise JobError(f"there is no job {name}; there are: {', '.join(JOBS)}")


def check_study(name: str) -> None:
    """Raise JobError if no study has that name."""
    if name not in STUDIES:
        raise JobError(f"there is no study {name}; there are: {', '.join(STUDIES)}")


def check_names(names: Sequence[str]) -> list[str]:
    """Return the names of jobs and studies, or without names all that need no data of the user's.

    Raises:
        JobError: a name is no such job or study.
    """
    every = [name for name in (*JOBS, *STUDIES) if name not in OWN_DATA]
    for name in names:
        if name not in every:
            raise JobError(f"there is no job or study {name}; there are: {', '.join(every)}")
    return list(names) or every


def check_takes(name: str, options: Iterable[str]) -> None:
    """Raise JobError for an option that the job or study does not take.

    Args:
        name: the job or study.
        options: names of the fields of JobOptions that are set.
    """
    kind, known = ("studies", STUDIES) if name in STUDIES else ("jobs", JOBS)
    for option in options:
        takers = [taker for taker in TAKES.get(option, ()) if taker in known]
        if name not in takers:
            raise JobError(f"{name} takes no --{option.replace('_', '-')}; these {kind} do: {', '.join(takers)}")


def find_study(name: str) -> "Study":
    """Import and return a study.

    Raises:
        JobError: no study has that name.
    """
    check_study(name)
    study: Study = importlib.import_module(f"training.experiments.studies.{name}").STUDY
    return study
