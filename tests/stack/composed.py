"""The servers of docker-compose.yml, started here as compose starts them: what can be of it.

Command, arguments, variables, mounts, configuration and user are those of the file. Without a
container a mounted path is its folder's path on this machine, a service's name is 127.0.0.1, and
every port is a free one. Its user is dropped to where the tests run as root, without rights, as
`cap_drop` and `no-new-privileges` do it; else they run as whoever runs the tests.

What is not tried without Docker: the images themselves and their entry points, ClickHouse, Tempo
and Grafana, read-only root file systems, limits of memory, health checks and the order of starts.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tools.binaries import binary
from tools.compose_init import OWNERS
from tools.stack.parts import ROOT, Ports
from tools.stack.processes import HOST, Part

PROGRAMS: Final = {
    "collector": "otelcol",
    "prometheus": "prometheus",
    "alertmanager": "alertmanager",
}
"""The services that can be built here."""
MEMBERS: Final = {
    "analytics:8400": "analytics",
    "prometheus:9090": "prometheus",
    "alertmanager:9093": "alertmanager",
    "collector:8888": "collector_metrics",
    "tempo:3200": "tempo",
    "tempo:4327": "tempo_otlp",
    "0.0.0.0:4317": "otlp_grpc",
    "0.0.0.0:4318": "otlp_http",
    "0.0.0.0:13133": "collector_health",
}
"""Where compose has the servers, and the ports that take their place."""
READY: Final = {
    "collector": ("collector_health", "/"),
    "prometheus": ("prometheus", "/-/ready"),
    "alertmanager": ("alertmanager", "/-/ready"),
}


class Composed:
    """The file as Docker reads it, and folders in the place of its volumes.

    Args:
        folder: For all that is kept; others than its owner must be able to pass through.
        ports: In the place of the file's.
    """

    def __init__(self, folder: Path, ports: Ports) -> None:
        self.folder = folder
        self.ports = ports
        written = folder / ".env"
        made = [sys.executable, str(ROOT / "tools" / "make_env.py"), str(written)]
        subprocess.run(made, check=True, capture_output=True)
        read = [str(binary("composecheck")), str(ROOT / "docker-compose.yml"), str(written)]
        text = subprocess.run(read, check=True, capture_output=True, text=True).stdout
        self.services: Mapping[str, Any] = json.loads(text)["services"]

    def initialise(self, store: str) -> None:
        """Runs what runs first; then each server's own volumes are its user's."""
        service, out = self.services["init"], self.folder / "init"
        for mount in service["volumes"]:
            if mount["type"] == "volume":
                here, place = self._source(mount), out / Path(mount["target"]).name
                place.parent.mkdir(exist_ok=True)
                if not place.exists():
                    place.symlink_to(here)
        command = [self._here(word, service) for word in service["command"]]
        command = [str(out) if word == "/out" else word for word in command]
        told = {name: self._address(value) for name, value in service["environment"].items()}
        subprocess.run(
            [sys.executable, *command[1:]],
            cwd=ROOT,
            env={**os.environ, **told, "OTEL_CHAT_SERVER_STORE": store},
            check=True,
        )
        for name in PROGRAMS:
            self._localise(name)

    def part(self, name: str, more: Sequence[str] = ()) -> Part:
        """A service as compose starts it.

        Args:
            name: The service's.
            more: Arguments that say on which free port it listens, where compose says none.
        """
        service = self.services[name]
        program = self.folder / "bin" / PROGRAMS[name]
        program.parent.mkdir(exist_ok=True)
        shutil.copy(str(binary(PROGRAMS[name])), program)
        ready, path = READY[name]
        arguments = [self._here(word, service) for word in service["command"]]
        environment = {
            key: self._here(self._address(value), service)
            for key, value in service.get("environment", {}).items()
        }
        return Part(
            name,
            [*_as_user(OWNERS[name]), str(program), *arguments, *more],
            {name: getattr(self.ports, ready)},
            f"{self.ports.url(ready)}{path}",
            environment,
        )

    def _source(self, mount: Mapping[str, Any]) -> Path:
        """The folder that is mounted: a volume's, or a copy that every user may read."""
        kind, source = mount["type"], Path(mount["source"])
        here = self.folder.joinpath(kind, source.name)
        if not here.exists():
            if kind == "bind":
                shutil.copytree(source, here)
            else:
                here.mkdir(parents=True)
        return here

    def _here(self, text: str, service: Mapping[str, Any]) -> str:
        """A text in which mounted paths are those of this machine."""
        for mount in service["volumes"]:
            pattern = rf"(?<![\w/.-]){re.escape(mount['target'])}(?![\w.-])"
            text = re.sub(pattern, str(self._source(mount)), text)
        return text

    def _address(self, text: str) -> str:
        for member, port in MEMBERS.items():
            text = text.replace(member, self.ports.at(port))
        return text.replace("0.0.0.0", HOST)

    def _localise(self, name: str) -> None:
        """Gives a server's volumes to its user, and paths of this machine to its files."""
        service = self.services[name]
        for mount in service["volumes"]:
            if mount["type"] != "volume":
                continue
            here = self._source(mount)
            for path in here.rglob("*.yml"):
                path.write_text(self._here(path.read_text(), service))
            if os.geteuid() == 0:
                # As Docker does with a new volume over a folder of the image
                os.chown(here, OWNERS[name], OWNERS[name])


def _as_user(user: int) -> list[str]:
    if os.geteuid() != 0:
        return []
    rights = ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *rights]
