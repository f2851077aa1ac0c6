"""The id of a job in the path of a route."""

import re
from typing import Annotated

from pydantic import AfterValidator

from videojob.names import MAX_NAME_LENGTH, NAME_PATTERN
from videojob_api.refusals import unknown_job


def legal_id(job_id: str) -> str:
    """Return an id that a VideoJob can have; any other can stand for no job.

    Raises:
        UnknownJob: no job is called like this.
    """
    if len(job_id) > MAX_NAME_LENGTH or not re.fullmatch(NAME_PATTERN, job_id):
        raise unknown_job(job_id)
    return job_id


JobId = Annotated[str, AfterValidator(legal_id)]
"""A route's parameter of this type is the id in its path."""
