"""The questions of the course documents: complete, in both languages, and true of the published results."""

import re

import pytest

from tests.training.reproduction.test_page import DOCS
from training.core.catalogue import JOBS, STUDIES
from training.reproduction import page
from training.reproduction.course import Question
from training.reproduction.results import Results
from training.reproduction.systems import QUESTIONS

EVERY = [question for questions in QUESTIONS.values() for question in questions]
RESULTS = Results.read(DOCS).results
LOSSES = ("contrastive", "triplet")


def figure(name: str, metric: str) -> float:
    return RESULTS[name].figures[metric]


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("000_66a6b1e9f8078a4d", "bcdcb"),
        ("001_8afefdba80e9ed1e", "dbbacdbdda"),
        ("002_6c90a8e4e790d781", "acccd"),
        ("003_f995c3228e7eacd7", "dcaacdbada"),
    ],
)
def test_every_exercise_of_the_mba_has_the_option_that_its_document_gives(key: str, options: str) -> None:
    found = {document.key: questions for document, questions in QUESTIONS.items()}[key]
    assert "".join(question.option for question in found) == options
    assert [int(re.sub(r"\D", "", question.place.en)) for question in found] == list(range(1, len(options) + 1))


@pytest.mark.parametrize("question", EVERY, ids=lambda question: question.question.en[:40])
def test_a_question_is_one_sentence_with_an_answer_in_both_languages(question: Question) -> None:
    assert question.question.en.endswith("?") or question.question.en.startswith("Show")
    for english, portuguese in (question.question, question.answer):
        assert english != portuguese and not re.search(r"  |\.\.", english + portuguese)
    assert re.findall(r"\{.*?\}", question.answer.en) == re.findall(r"\{.*?\}", question.answer.pt)
    assert set(question.shown_by) <= {*JOBS, *STUDIES}


@pytest.mark.parametrize("file", page.FILES)
def test_links_lead_to_an_anchor_and_figures_are_filled_in(file: str) -> None:
    text = (DOCS / file).read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(#(\w+)\)", text)) <= set(re.findall(r'<a id="(\w+)"></a>', text))
    answers = re.findall(r"^\*(?:Answer|Resposta).*$", text, re.MULTILINE)
    assert len(answers) == len(EVERY)
    assert not any(re.search(r"–|\{\w+:", answer) for answer in answers)


def test_the_results_confirm_what_the_answers_say_of_them() -> None:
    assert figure("cifar100_shallow", "times_better_than_a_guess") > 10
    losses = RESULTS["cifar100_shallow"].histories["loss"]
    assert len(losses) == 8 and (losses[-2] or 0) - (losses[-1] or 0) > 0.05
    assert 0.25 < figure("cifar100_deep", "test_accuracy") < 0.5
    gaps = {name: figure(name, "val_loss") - figure(name, "loss") for name in ("boston_default", "boston_decay")}
    assert figure("boston_decay", "val_loss") < figure("boston_default", "val_loss")
    assert gaps["boston_default"] < gaps["boston_decay"]
    batches = {power: figure("batch_size", f"test MSE, batch {2**power}") for power in range(1, 9)}
    assert min(batches, key=batches.__getitem__) == 2 and max(batches, key=batches.__getitem__) == 8
    rates = RESULTS["learning_rate_decay"].figures
    assert min(rates, key=rates.__getitem__) == "test MSE, 0.02"
    assert max(rates, key=rates.__getitem__) == "test MSE, 0.001, Adam's default"
    assert figure("fashion_resnet", "train_loss") < 0.001 < 1 < figure("fashion_resnet", "test_loss")
    assert figure("fashion_inception", "test_loss") < figure("fashion_resnet", "test_loss")
    assert figure("fashion_cnn", "printed_predictions_met") == 5
    assert 0.98 <= figure("mnist_transfer", "test_accuracy") <= 1
    falls = {name: figure("fashion_embedding", f"{name}_before") - figure("fashion_embedding", name) for name in LOSSES}
    assert falls["triplet"] > 0.01 > falls["contrastive"] > 0
    assert figure("transfer", "transfer, 10 a class") > figure("transfer", "from scratch, 10 a class") + 0.2
    searched = RESULTS["coarse_to_fine"].figures
    assert searched["test MSE, the winner"] < searched["test MSE, Adam's defaults"]
    assert all(figure("ten_pictures", f"{watched}, 100 epochs") > 0.99 for watched in ("Xtn[0] = O", "Xtn[12] = X"))
    assert figure("sine_rnn", "by_hand_difference") < 1e-6
