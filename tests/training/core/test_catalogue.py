"""What the catalogue says of a job or study is what its module says."""

import pytest

from training.core.catalogue import JOBS, NOT_SEARCHED, STARTS_FROM, STUDIES, TAKES, WHOLE_BATCHES, find, find_study


@pytest.mark.parametrize("name", JOBS)
def test_a_job_is_as_in_the_catalogue(name: str) -> None:
    job = find(name)
    assert job.name == name
    assert job.takes == {option for option, takers in TAKES.items() if name in takers}
    assert job.starts_from == STARTS_FROM.get(name)
    assert (not job.search) == (name in NOT_SEARCHED)
    assert job.whole_batches == (name in WHOLE_BATCHES)


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_as_in_the_catalogue(name: str) -> None:
    assert find_study(name).takes_stand_in == (name in TAKES["stand_in"])
