"""Who asks for signed URLs: a pod that the cluster vouches for, by its token, now.

The token is reviewed, the pod and its VideoJob are read; what comes out holds for up to a minute, so a pod that is
deleted gets no more URLs after that time. A refusal is remembered by nobody.
"""

from collections.abc import Mapping

from videojob.broker import AUDIENCE
from videojob_api.access.callers import digest_of
from videojob_api.access.decisions import Decisions
from videojob_api.broker.identity import BoundPod, attempt_of, pod_of, video_job_of
from videojob_api.broker.rule import Attempt
from videojob_api.errors import Forbidden, Unauthenticated, UnknownJob
from videojob_api.kubernetes import Pods, Reviews
from videojob_api.manifests import Manifest
from videojob_api.store import JobStore


class Renderers:
    """Knows the renderers of the served namespaces.

    Args:
        reviews: says whose a token is.
        pods: of the served namespaces.
        stores: namespace -> its VideoJobs.
        service_account: name of the renderers'.
        bucket: of the videos.
        prefix: of all keys in it.
    """

    def __init__(
        self,
        reviews: Reviews,
        pods: Pods,
        stores: Mapping[str, JobStore],
        *,
        service_account: str,
        bucket: str,
        prefix: str,
    ) -> None:
        self._reviews = reviews
        self._pods = pods
        self._stores = stores
        self._service_account = service_account
        self._bucket = bucket
        self._prefix = prefix
        self._known: Decisions[bytes, Attempt] = Decisions()

    async def admit(self, token: str | None) -> Attempt:
        """Return which pod has this token, and what it renders.

        Raises:
            Unauthenticated: nobody that is known has it.
            Forbidden: somebody else, or a pod that is gone.
            ClusterUnavailable: the cluster would know, and does not answer.
        """
        if token is None or (digest := digest_of(token)) is None:
            raise Unauthenticated(f"this route wants a pod's token for the audience {AUDIENCE}")
        return await self._known.get(digest, lambda: self._ask(token))

    async def _ask(self, token: str) -> Attempt:
        account = await self._reviews.who(token, AUDIENCE)
        if account is None:
            raise Unauthenticated(f"the cluster knows no such token for the audience {AUDIENCE}, or it has ended")
        bound = pod_of(account, self._service_account, frozenset(self._stores))
        name, uid = video_job_of(await self._pods.get(bound.namespace, bound.name), bound)
        job = await self._video_job(bound, name, uid)
        return attempt_of(job, bound, self._bucket, self._prefix)

    async def _video_job(self, bound: BoundPod, name: str, uid: str) -> Manifest:
        store = self._stores[bound.namespace]
        try:
            job = await store.get(name)
            if job["metadata"]["uid"] != uid:  # what is remembered may be the VideoJob before or after this one
                job = await store.get_live(name)
        except UnknownJob:
            job = {}
        if not job or job["metadata"]["uid"] != uid:
            raise Forbidden(f"the VideoJob of the pod {bound.name} is gone")
        return job
