"""Names and titles of all jobs and studies.

Their modules are imported on demand, so that listing them needs no TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING

from training.core.errors import JobError

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
    "compound_interest": "compound interest in three ways, served by a recurrent cell",
    "conv1d_a": "1,024-sample signals by 1-D convolutions with pooling",
    "conv1d_b": "1,024-sample signals by 1-D convolutions with strides",
    "conv2d_1024": "encoder of 1024×1024 pictures by four convolutions",
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
OWN_DATA = frozenset({"image_classifier"})

#: Titles of the studies, by name.
STUDIES = {
    "bagging": "several small nets on bootstrap samples against each alone",
    "batch_size": "test error on Boston Housing, by batch size",
    "learning_rate_decay": "learning rates that stay and that decay, on Boston Housing",
    "losses": "squared error, cross-entropy, 0-1 and hinge loss on ten points",
    "regularisation": "dropout, L1, L2 and batch normalisation, one at a time",
    "transfer": "transfer against scratch on X and O, by number of pictures",
}


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


def find_study(name: str) -> "Study":
    """Import and return a study.

    Raises:
        JobError: no study has that name.
    """
    if name not in STUDIES:
        raise JobError(f"there is no study {name}; there are: {', '.join(STUDIES)}")
    study: Study = importlib.import_module(f"training.experiments.studies.{name}").STUDY
    return study
