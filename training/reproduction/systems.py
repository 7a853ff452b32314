"""The systems of the courses: exact facts, and the jobs and studies.

A job asserts its exact facts before it trains, a study when it runs, so they are true of every completed run.
tests/training asserts them too.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class System:
    """One row of the page: jobs and studies, and the exact facts that they assert."""

    title: str
    course: str
    names: tuple[str, ...]
    exact: tuple[str, ...] = ()


SYSTEMS = (
    System(
        "Fashion-MNIST, separable convolutions",
        "000, question 4",
        ("fashion_cnn",),
        ("25,674 parameters, 25,418 trainable", "14×14 after the first convolution, then 7×7 and 4×4"),
    ),
    System("MNIST by transfer from it", "000, question 5", ("mnist_transfer",), ("25,674 parameters",)),
    System(
        "1-D convolutions, 1,024 samples",
        "001, exercise 6",
        ("conv1d_a", "conv1d_b"),
        ("6,075 parameters each", "A: (256, 32), (64, 8)", "B: (64, 32), (64, 8)"),
    ),
    System(
        "Asymmetric convolutions, 1024×1024",
        "001, exercise 7",
        ("conv2d_1024",),
        ("92,736 parameters", "(512, 512, 32) (512, 256, 64) (256, 256, 64) (85, 85, 128) (128)"),
    ),
    System(
        "CIFAR-100, four convolutions",
        "001, exercises 8 and 9",
        ("cifar100_shallow",),
        ("106,212 parameters", "(16, 16, 32) (16, 8, 64) (8, 8, 64) (2, 2, 128)"),
    ),
    System("CIFAR-100, six convolutions", "001, exercise 10", ("cifar100_deep",), ("130,916 parameters",)),
    System(
        "Fashion-MNIST embedding",
        "002, exercise 4",
        ("fashion_embedding",),
        ("72,842 parameters", "shapes 13, 6, 2, 256, 64", "both losses equal the course's loop"),
    ),
    System(
        "Inception and residual net, 800 pictures",
        "003, exercise 10",
        ("fashion_inception", "fashion_resnet"),
        ("196,154 and 186,058 parameters",),
    ),
    System(
        "Boston Housing, learning rate",
        "003, exercise 7",
        ("boston_default", "boston_decay", "learning_rate_decay"),
        ("369 parameters", "the printed rates, .0200 … .0028"),
    ),
    System("Boston Housing, batch size", "003, exercise 8", ("batch_size",), ("10 … 17 epochs",)),
    System(
        "Four losses",
        "003, exercises 1 and 3",
        ("losses",),
        (".1421 .4487 .2000 .6805, and per point", "1.6094 and 0.8 for a guess over five classes"),
    ),
    System(
        "X or O, transfer and from scratch",
        "004, transfer_MobileNet and cnn_ox",
        ("xo_mobilenet", "xo_cnn", "transfer"),
        ("base 2,257,984 parameters, frozen", "12,832 new ones with softmax 2, 12,821 with one sigmoid"),
    ),
    System("CIFAR-10, residual net", "004, cnn_cifar10_res2", ("cifar10_residual",)),
    System(
        "Compound interest, three ways",
        "004, recursivo",
        ("compound_interest",),
        ("recursion = formula = recurrent cell, 1 to 360 months",),
    ),
    System(
        "Next value of a sine",
        "004, senoid_rnn",
        ("sine_rnn",),
        ("3 parameters", "by hand = by model for [sin .31] and [sin .31, sin .62]"),
    ),
    System("Next day’s price", "004, stock_rnn", ("stock_rnn",), ("24 + 5 parameters",)),
    System("Themes", "all documents", ("regularisation", "bagging")),
)


def others(names: list[str]) -> System:
    """Return the system of all jobs and studies beyond the courses' own."""
    named = {name for system in SYSTEMS for name in system.names}
    further = tuple(name for name in names if name not in named)
    return System("Beyond the courses’ versions", "“tente melhorar”", further)
