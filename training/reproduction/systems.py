"""The systems of the courses in English and Portuguese: exercises, exact facts, and the jobs and studies.

A job asserts its exact facts before it trains, a study when it runs, so they are true of every completed run.
tests/training asserts them too.
"""

from training.reproduction.course import System, Text
from training.reproduction.linked_education_exercises import ALL, DEEP_LEARNING, LINKED_EDUCATION
from training.reproduction.mba_exercises import ARCHITECTURES, MBA, NETWORKS, STRATEGIES, TOPICS
from training.reproduction.questions import architectures, deep_learning, networks, strategies, topics

SYSTEMS = (*MBA, *LINKED_EDUCATION)

#: The documents' questions with our answers.
QUESTIONS = {
    NETWORKS: networks.QUESTIONS,
    ARCHITECTURES: architectures.QUESTIONS,
    STRATEGIES: strategies.QUESTIONS,
    TOPICS: topics.QUESTIONS,
    DEEP_LEARNING: deep_learning.QUESTIONS,
}


def others(names: list[str]) -> System:
    """Return the system of all jobs and studies beyond the courses' own."""
    named = {name for system in SYSTEMS for name in system.names}
    return System(
        ALL,
        Text("“Try to improve the model”", "«Tente melhorar o modelo»"),
        Text("Beyond the courses", "Além dos cursos"),
        Text(
            "The documents ask their readers to improve the models. These jobs do so: better pictures, better "
            "embeddings, and forecasts over several steps with intervals.",
            "Os documentos pedem aos leitores que melhorem os modelos. Estes trabalhos fazem-no: melhor tratamento "
            "das imagens, melhores embeddings e previsões de vários passos com intervalos.",
        ),
        Text(
            "There is no printed figure; compare with the sections above.",
            "Não há valores impressos; compare com as secções acima.",
        ),
        names=tuple(name for name in names if name not in named),
    )
