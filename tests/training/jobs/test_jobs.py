"""Exact facts of the courses' models: parameters, shapes and formulas."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest
import tensorflow as tf

from serving.artifacts.model_card import Data, SeriesRecipe
from tests.programs import shipped
from tests.serving.inputs.series_csv.files import MONTHS, table
from training.core.catalogue import JOBS, find
from training.core.errors import JobError
from training.core.examples import Examples
from training.core.job import JobOptions, require_outputs, require_parameters
from training.core.recipe import Recipe
from training.data import cifar100
from training.jobs import (
    cifar10_residual,
    cifar100_deep,
    cifar100_shallow,
    compound_interest,
    conv1d_a,
    conv1d_b,
    conv2d_1024,
    fashion_augmented,
    fashion_cnn,
    fashion_embedding,
    fashion_inception,
    fashion_metric,
    fashion_resnet,
    mnist_transfer,
    sine_forecaster,
    sine_rnn,
    stock_forecaster,
    stock_rnn,
    xo_cnn,
    xo_mobilenet,
)
from training.models.mobilenet import imagenet_encoder

DATA = Data(name="none", source="test", licence="none", rows={})
SERIES = SeriesRecipe(window=41, max_horizon=30, step="day", unit="USD", level=0.9)
RECIPE = Recipe(epochs=1, batch_size=64, learning_rate=0.001)


def some(*shape: int) -> Examples:
    part = (np.zeros(shape, np.float32), np.zeros(shape[0], np.int64))
    return Examples(train=part, test=part, data=DATA)


def shapes(model: object) -> list[tuple[int, ...]]:
    return [tuple(layer.output.shape[1:]) for layer in model.layers]  # type: ignore[attr-defined]


def test_fashion_cnn_matches_the_printed_summary() -> None:
    model = fashion_cnn.build(some(1, 28, 28, 1), JobOptions(), RECIPE)
    assert model.count_params() == 25_674
    found = shapes(model)
    for printed in ((14, 14, 64), (7, 7, 64), (7, 7, 256), (4, 4, 256), (256,), (10,)):
        assert printed in found


def test_mnist_transfer_is_the_trained_net_with_a_new_last_layer() -> None:
    start = shipped("fashion_cnn")
    model = mnist_transfer.build(some(1, 28, 28, 1), JobOptions(start=start), RECIPE)
    assert model.count_params() == 25_674
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 25_418  # no layer is frozen
    loaded = tf.saved_model.load(str(start))
    served = {v.name: v.numpy() for v in loaded.signatures["serving_default"].variables}
    first, last = model.layers[4], model.layers[-1]
    np.testing.assert_array_equal(first.kernel, served["conv2d/kernel:0"])
    assert last.kernel.shape == (256, 10) and not np.allclose(last.kernel, served["dense/kernel:0"])
    with pytest.raises(JobError, match="starts from a version of fashion_cnn"):
        mnist_transfer.build(some(1, 28, 28, 1), JobOptions(), RECIPE)


@pytest.mark.parametrize(
    ("accuracy", "found"), [(0.9849, "0.98–1.00"), (0.9651, "none"), (0.944, "0.94–0.96"), (0.895, "0.87–0.90")]
)
def test_mnist_transfer_notes_the_offered_range(accuracy: float, found: str) -> None:
    assert mnist_transfer.answer(accuracy).endswith(f"is in {found}.")


def test_fashion_embedding_matches_the_printed_summary() -> None:
    model = fashion_embedding.build(some(1, 28, 28, 1), JobOptions(), RECIPE)
    assert model.count_params() == 72_842
    assert shapes(model)[1:6] == [(13, 13, 32), (6, 6, 64), (2, 2, 64), (256,), (64,)]


def test_inception_and_resnet_have_the_printed_parameters() -> None:
    for job, parameters, last in ((fashion_inception, 196_154, 176), (fashion_resnet, 186_058, 64)):
        model = job.build(some(1, 28, 28, 1), JobOptions(), RECIPE)
        assert model.count_params() == parameters
        assert model.get_layer("embedding").output.shape == (None, last)


def test_conv2d_1024_matches_the_printed_summary() -> None:
    encoder = conv2d_1024.build(some(1, 2, 128, 128, 1), JobOptions(), RECIPE).get_layer("encoder")
    assert encoder.count_params() == 92_736
    assert [layer.count_params() for layer in encoder.layers] == [320, 6208, 12352, 73856, 0]
    assert conv2d_1024.shapes(encoder) == [(512, 512, 32), (512, 256, 64), (256, 256, 64), (85, 85, 128), (128,)]


def test_info_nce_equals_its_formula() -> None:
    views = np.random.default_rng(1).standard_normal((5, 2, 7)).astype(np.float32)
    views /= np.linalg.norm(views, axis=-1, keepdims=True)
    likelihood = np.exp(views[:, 0] @ views[:, 1].T / conv2d_1024.TEMPERATURE)
    by_hand = -np.log(np.diag(likelihood) / likelihood.sum(axis=1))
    found = conv2d_1024.info_nce(tf.zeros(5), tf.constant(3 * views))  # lengths do not matter
    np.testing.assert_allclose(found.numpy(), by_hand, rtol=1e-4)


def test_cifar10_residual_has_the_document_s_improvements() -> None:
    model = cifar10_residual.build(some(1, 32, 32, 3), JobOptions(), RECIPE)
    assert model.count_params() == 762_602
    network = model.get_layer("network")
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds.count("Add") == kinds.count("SpatialDropout2D") == 2
    decays = [layer.kernel_regularizer for layer in network.layers if hasattr(layer, "kernel_regularizer")]
    assert len(decays) == 9 and all(decay.l1 > 0 and decay.l2 > 0 for decay in decays)


def test_fashion_augmented_serves_no_augmentation() -> None:
    model = fashion_augmented.build(some(1, 28, 28, 1), JobOptions(), RECIPE)
    assert model.count_params() == 464_810
    assert {type(layer).__name__ for layer in model.layers} >= {"RandomFlip", "RandomTranslation", "RandomErasing"}
    assert not any(type(layer).__name__.startswith("Random") for layer in model.get_layer("network").layers)


def test_fashion_augmented_adds_a_variant_of_every_fourth_picture() -> None:
    recipe = replace(RECIPE, examples=100)
    pictures, labels = fashion_cnn.load(JobOptions(stand_in=True), recipe).train
    augmented, one_hot = fashion_augmented.load(JobOptions(stand_in=True), recipe).train
    assert augmented.shape == (125, 28, 28, 1) and augmented.dtype == pictures.dtype
    np.testing.assert_array_equal(augmented[:100], pictures)
    np.testing.assert_array_equal(one_hot.argmax(axis=1), [*labels, *labels[::4]])
    assert (augmented[100:] != pictures[::4]).any(axis=(1, 2, 3)).all()


def test_cifar100_nets_match_the_printed_summaries() -> None:
    shallow = cifar100_shallow.build(some(1, 32, 32, 3), JobOptions(), RECIPE)
    assert shallow.count_params() == 106_212
    assert shapes(shallow)[1:] == [(16, 16, 32), (16, 8, 64), (8, 8, 64), (2, 2, 128), (128,), (100,)]
    deep = cifar100_deep.build(some(1, 32, 32, 3), JobOptions(), RECIPE)
    assert deep.count_params() == 130_916
    assert shapes(deep)[3:] == [(8, 8, 64), (8, 4, 64), (4, 4, 64), (2, 2, 128), (128,), (100,)]


def test_boston_nets_have_369_parameters() -> None:
    for name in ("boston_default", "boston_decay"):
        model = find(name).build(some(1, 13), JobOptions(), RECIPE)
        assert [layer.count_params() for layer in model.layers] == [224, 136, 9]
        assert all(layer.activation.__name__ == "relu" for layer in model.layers)


def test_boston_decay_has_the_printed_learning_rates() -> None:
    """The rates of all 50 epochs and the next one, as Keras' callback sets them."""
    job = find("boston_decay")
    model = job.build(some(1, 13), JobOptions(), job.recipe)
    (scheduler,) = job.callbacks()
    scheduler.set_model(model)
    found = []
    for epoch in range(job.recipe.epochs):
        scheduler.on_epoch_begin(epoch)
        found.append(round(10_000 * float(model.optimizer.learning_rate)))
    printed = (
        "190 181 172 164 156 148 141 134 127 121 115 109 104 99 94 89 85 81 77 73 69 66 63 60 57 54 51 49 47 45 43 41 "
        "39 37 35 33 31 29 28"
    )
    assert found == [200] * 10 + [int(rate) for rate in printed.split()] + [27]
    assert not find("boston_default").callbacks()


def test_conv1d_nets_match_the_printed_summaries() -> None:
    a = conv1d_a.build(some(1, 1024, 1), JobOptions(), RECIPE)
    assert a.count_params() == 6_075
    assert shapes(a) == [(1024, 16), (256, 16), (256, 32), (64, 32), (64, 8), (512,), (3,)]
    b = conv1d_b.build(some(1, 1024, 1), JobOptions(), RECIPE)
    assert b.count_params() == 6_075
    assert shapes(b) == [(256, 16), (64, 32), (64, 8), (512,), (3,)]


def test_a_net_that_differs_from_the_course_s_is_refused() -> None:
    model = conv1d_a.build(some(1, 1024, 1), JobOptions(), RECIPE)
    with pytest.raises(JobError, match=r"layer conv2 gives \(256, 32\); the course's gives \(64, 32\)"):
        require_outputs(model, {"conv2": (64, 32)})
    with pytest.raises(JobError, match=r"the model has 6075 parameters \(6075 trainable\); the course's has 6076"):
        require_parameters(model, 6_076)


def test_compound_interest_is_equal_in_three_ways() -> None:
    """For 1 to 360 months, up to the rounding of float32."""
    examples = compound_interest.load(JobOptions(), RECIPE)
    assert set(examples.test[0][:, 2]) == set(range(1, 361))
    model = compound_interest.build(examples, JobOptions(), RECIPE)
    assert compound_interest.evaluate(model, examples).metrics["largest_difference"] < 360 * 2**-23
    assert compound_interest.recursion(1000, 0.01, 12) == pytest.approx(1126.825030131970)
    assert compound_interest.unfolded(1000, 0.01, 12) == pytest.approx(1126.825030131970)

    recurrent = next(layer for layer in model.layers if isinstance(layer, keras.layers.RNN))
    recurrent.set_weights([np.float32([[1]]), np.float32([[1.001]])])
    assert compound_interest.evaluate(model, examples).metrics["roundings"] > 2


def test_cifar100_s_stand_in_is_marked() -> None:
    examples = cifar100.load(stand_in=True, at_most=50)
    assert examples.train[0].shape == (50, 32, 32, 3) and examples.train[0].dtype == np.uint8
    assert len(set(examples.labels)) == 100 and list(examples.labels) == sorted(examples.labels)
    assert examples.data.stand_in


def test_sine_by_hand_equals_by_model() -> None:
    model = sine_rnn.build(some(1, 2, 1), JobOptions(), RECIPE)
    assert model.count_params() == 3
    for sequence in (np.sin([0.31]), np.sin([0.31, 0.62])):
        by_model = float(model(sequence[None, :, None])[0, 0])
        assert by_model == pytest.approx(sine_rnn.by_hand(model.get_weights(), sequence), abs=1e-6)


def test_stock_rnn_has_24_and_5_parameters() -> None:
    model = stock_rnn.build(some(1, 10, 1), JobOptions(), RECIPE)
    assert [layer.count_params() for layer in model.layers] == [24, 5]


def test_stock_forecaster_expects_no_return_after_the_first_day() -> None:
    model = stock_forecaster.build(some(1, 40, 1), JobOptions(), RECIPE)
    model.layers[-1].set_weights([np.zeros((8, 2)), np.array([1.0, np.log(0.5)])])
    forecaster = stock_forecaster.forecaster(model, replace(some(1, 40, 1), extra={"scale": 0.01, "series": SERIES}))
    prices = np.linspace(90, 100, 41, dtype=np.float32)[None]
    mean = forecaster.ahead(tf.constant(prices), tf.constant(30)).numpy()
    assert mean == pytest.approx(np.full((1, 30), 100 * np.exp(0.01)))  # one return of one deviation
    assert forecaster.width(tf.constant(prices)).numpy() == pytest.approx(np.array([[100 * 0.5 * 0.01]]))


@pytest.mark.parametrize("job", [stock_rnn, stock_forecaster])
def test_the_user_s_series_has_its_own_period_unit_and_title(job: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "gold.csv"
    path.write_text(table("Month,Price", lambda day, price: f"{day:%Y-%m},{price}", MONTHS), encoding="utf-8")
    examples = job.load(JobOptions(csv=path, unit="EUR"), RECIPE)
    recipe = examples.extra["series"]
    assert (recipe.step, recipe.season, recipe.unit) == ("month", 12, "EUR")
    assert examples.title and examples.title.startswith("Next value") and "gold, Price" in examples.title
    assert (examples.data.file.first, examples.data.file.last) == ("1990-01", "2014-12")
    assert examples.data.file.options == {"unit": "EUR"}
    model = job.build(examples, JobOptions(), RECIPE)
    ours = job.forecaster(model, examples)
    assert ours.season == 12 and ours.recipe == recipe
    exported = job.serve(model, examples)
    quantiles = exported.series.quantiles
    assert quantiles.steps[-1] == recipe.max_horizon
    assert quantiles.rows == 61  # of the validation and test part, which the tested model has not seen


@pytest.mark.parametrize("job", [sine_rnn, stock_rnn, stock_forecaster])
def test_the_served_forecaster_is_fitted_again_on_all_data(job: ModuleType) -> None:
    said: list[str] = []
    examples = job.load(JobOptions(say=said.append), RECIPE)
    tested = job.build(examples, JobOptions(), RECIPE)
    weights = tested.get_weights()
    exported = job.serve(tested, examples)
    windows = len(examples.extra["parts"].series) - exported.series.window
    assert exported.refitted and said == [f"fitting again on all {windows:,} windows, for the version to serve"]
    assert exported.models[0] is not tested
    assert all((old == kept).all() for old, kept in zip(weights, tested.get_weights(), strict=True))
    assert any((old != new).any() for old, new in zip(weights, exported.models[0].get_weights(), strict=True))


def test_stock_rnn_works_at_any_level_and_scale() -> None:
    examples = stock_rnn.load(JobOptions(), RECIPE)
    model = stock_rnn.build(examples, JobOptions(), RECIPE)
    ours = stock_rnn.forecaster(model, examples)
    history = np.random.default_rng(0).normal(0, 1, (4, 10)).cumsum(axis=1).astype(np.float32)
    plain, moved = (ours.ahead(tf.constant(rows), tf.constant(30)).numpy() for rows in (history, -7 * history + 50))
    mirrored = ours.ahead(tf.constant(-history), tf.constant(30)).numpy()
    np.testing.assert_allclose(moved, 7 * mirrored + 50, rtol=1e-3, atol=1e-3)
    assert np.abs(plain - history[:, -1:]).max() > 0.1


def test_stock_forecaster_s_loss_is_laplace_s_likelihood() -> None:
    truth, mean, scale = np.float32([[2.0], [-1.0]]), np.float32([[0.5], [0.0]]), np.float32([[2.0], [0.25]])
    found = stock_forecaster.laplace(truth, np.concatenate([mean, np.log(scale)], axis=1)).numpy()
    density = np.exp(-np.abs(truth - mean) / scale) / (2 * scale)
    np.testing.assert_allclose(found, -np.log(density) - np.log(2), rtol=1e-6)


def test_sine_forecaster_is_invariant_to_level_and_scale() -> None:
    model = sine_forecaster.build(some(1, 64, 1), JobOptions(), RECIPE)
    forecaster = sine_forecaster.forecaster(model)
    history = np.random.default_rng(0).normal(0, 1, (2, 64)).astype(np.float32)
    plain, moved = (forecaster.ahead(tf.constant(rows), tf.constant(7)).numpy() for rows in (history, history * 5 + 9))
    assert plain.shape == (2, 7)
    np.testing.assert_allclose(moved, plain * 5 + 9, rtol=1e-4, atol=1e-4)
    flat = forecaster.ahead(tf.constant(np.full((1, 64), 3, np.float32)), tf.constant(40)).numpy()
    np.testing.assert_allclose(flat, 3, atol=1e-4)


def test_the_course_s_cell_is_exact_only_on_its_own_sine() -> None:
    sine = np.sin(np.arange(100) * np.pi / 10)[None]
    np.testing.assert_allclose(sine_forecaster.by_course(sine[:, :64], 36), sine[:, 64:], atol=1e-12)
    other = np.sin(np.arange(100) * np.pi / 8)[None]
    assert np.abs(sine_forecaster.by_course(other[:, :64], 36) - other[:, 64:]).max() > 1


def test_fashion_metric_starts_from_the_net_of_fashion_embedding() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (8, 28, 28, 1)).astype(np.float32)
    part = (pictures, np.arange(8) % 2)
    model = fashion_metric.build(Examples(train=part, test=part, data=DATA), JobOptions(), RECIPE)
    assert model.count_params() == 72_842 - 650  # without the softmax layer
    np.testing.assert_allclose(np.linalg.norm(model(pictures).numpy(), axis=1), 1, rtol=1e-5)


def test_both_heads_of_xo_mobilenet_have_the_printed_parameters() -> None:
    assert xo_mobilenet.build(some(1, 1280), JobOptions(), RECIPE).count_params() == 12_832
    single = xo_mobilenet.build(some(1, 1280), JobOptions(head="sigmoid"), RECIPE)
    assert single.count_params() == 12_821
    np.testing.assert_allclose(single(np.ones((3, 1280), np.float32)).numpy().sum(axis=1), 1, rtol=1e-6)
    with pytest.raises(JobError, match="softmax or sigmoid"):
        xo_mobilenet.build(some(1, 1280), JobOptions(head="relu"), RECIPE)


def test_the_base_of_xo_mobilenet_is_frozen_and_its_typicality_reads_a_middle_block(data: Path) -> None:
    base = imagenet_encoder(96)
    assert base.count_params() == 2_257_984 and not base.trainable_weights
    pictures = np.zeros((2, 96, 96, 3), np.uint8)
    examples = replace(some(2, 1280), extra={"base": base, "pictures": pictures})
    served = xo_mobilenet.serve(xo_mobilenet.build(examples, JobOptions(), RECIPE), examples)
    assert served.infer and served.infer(pictures)["embedding"].shape == (2, 96)
    assert served.endpoints["embed"].call()["embedding"].shape == (2, 1280)


def test_xo_cnn_has_51698_parameters() -> None:
    assert xo_cnn.build(some(1, 32, 32, 1), JobOptions(), RECIPE).count_params() == 51_698


@pytest.mark.parametrize("name", JOBS)
def test_every_job_has_its_catalogue_name(name: str) -> None:
    job = find(name)
    assert job.name == name
    assert job.title and job.recipe.epochs >= job.quick.epochs


def test_the_seed_option_changes_both_seeds() -> None:
    recipe = find("fashion_cnn").recipe_for(JobOptions(seed=7))
    assert (recipe.seed, recipe.numpy_seed) == (7, 7)
