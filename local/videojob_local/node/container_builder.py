"""From a container's spec to a command that can be started: image, mounts, environment, arguments."""

import fnmatch
from collections.abc import Mapping
from pathlib import Path

from videojob_local.node.command import Command
from videojob_local.node.environment import (
    SERVICE_ACCOUNT_FOLDER,
    EnvironmentResolver,
    base_environment,
    kubeconfig,
)
from videojob_local.node.errors import ApiError, NotReadyYet
from videojob_local.node.expansion import expand
from videojob_local.node.manifest import Manifest
from videojob_local.node.pod_run import PodRun
from videojob_local.node.rewriting import PathRewriter
from videojob_local.node.volumes import Volumes

_DEFAULT_MESSAGE_PATH = "/dev/termination-log"
_LATER = (403, 404, 409)


class ContainerBuilder:
    """Makes commands. What it has fetched for one start is fetched again for the next."""

    def __init__(
        self,
        server: str,
        images: Mapping[str, tuple[str, ...]],
        inherited: Mapping[str, str],
        volumes: Volumes,
        environment: EnvironmentResolver,
        *,
        host_folders: tuple[str, ...] = (),
    ) -> None:
        self._server = server
        self._images = images
        self._inherited = inherited
        self._volumes = volumes
        self._environment = environment
        self._host_folders = host_folders

    async def build(self, run: PodRun, container: Manifest, gpu_environment: Mapping[str, str]) -> Command:
        """Return the command of one container.

        Raises:
            NotReadyYet: it cannot start now; trying again may help.
        """
        prefix = self._entry_point(container["image"])
        work = run.folder / "work"
        work.mkdir(parents=True, exist_ok=True, mode=0o700)
        message_file = run.folder / f"termination-{container['name']}"
        message_file.write_bytes(b"")
        try:
            mounts = await self._mounts(run, container, message_file)
            rewriter = PathRewriter(mounts)
            base = base_environment(run.pod, run.folder, work, message_file, self._server)
            account = self._service_account(run, mounts, work)
            base = {**self._inherited, **base, **account, **gpu_environment}
            environment = await self._environment.resolve(run.pod, container, base, rewriter)
        except ApiError as error:
            if error.status not in _LATER:
                raise
            raise NotReadyYet("CreateContainerConfigError", error.message) from error
        # The entry point is a command of this machine: its paths are real already.
        given = [*container.get("command", []), *container.get("args", [])]
        words = tuple(expand(rewriter.text(word), environment) for word in given)
        words = words if container.get("command") else (*prefix, *words)
        if not words:
            raise NotReadyYet(
                "CreateContainerError", f"image {container['image']} has no command, and the Pod gives none"
            )
        folder = _working_folder(rewriter.text(container.get("workingDir", "")), work)
        return Command(words, environment, folder, message_file)

    def _entry_point(self, image: str) -> tuple[str, ...]:
        for pattern, argv in self._images.items():
            if fnmatch.fnmatchcase(image, pattern):
                return argv
        known = ", ".join(self._images) or "none"
        raise NotReadyYet("ErrImagePull", f"no command stands for image {image} on this process node (known: {known})")

    async def _mounts(self, run: PodRun, container: Manifest, message_file: Path) -> dict[str, str]:
        """Real paths by mountPath; the folders of the machine that Pods may know stand for themselves."""
        mounts = {folder: folder for folder in self._host_folders}
        mounts[container.get("terminationMessagePath", _DEFAULT_MESSAGE_PATH)] = str(message_file)
        volumes = {volume["name"]: volume for volume in run.spec.get("volumes", [])}
        for mount in container.get("volumeMounts", []):
            root = await self._volumes.path(run, volumes[mount["name"]])
            real = root / mount.get("subPath", "")
            if "emptyDir" in volumes[mount["name"]]:
                real.mkdir(parents=True, exist_ok=True)
            mounts[mount["mountPath"].rstrip("/") or "/"] = str(real)
        return mounts

    def _service_account(self, run: PodRun, mounts: Mapping[str, str], work: Path) -> dict[str, str]:
        folder = mounts.get(SERVICE_ACCOUNT_FOLDER)
        if folder is None:
            return {}
        file = work / ".kubeconfig"
        file.touch(mode=0o600)
        file.write_text(kubeconfig(self._server, folder, run.namespace))
        return {"KUBECONFIG": str(file)}


def _working_folder(wanted: str, work: Path) -> Path:
    """The wanted folder, or the Pod's own where that is a folder of the image and so does not exist here."""
    return Path(wanted) if wanted and Path(wanted).is_dir() else work
