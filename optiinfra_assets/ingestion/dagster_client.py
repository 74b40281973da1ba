"""A client of the GraphQL API of Dagster's webserver: it launches and terminates runs, starts schedules and sensors, needs no Dagster.

The documents follow dagster-graphql 1.13: ``launchMultipleRuns``, ``addDynamicPartition``, ``terminateRuns``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import httpx

from optiinfra_assets.database.errors import DagsterUnavailable, RunTerminationFailed
from optiinfra_assets.domain.automation import KINDS, Automation
from optiinfra_assets.domain.run_scope import ASSET_JOB, CUSTOMER_TAG, TASK_TAG, CollectionRunRequest
from optiinfra_assets.ingestion.asset_paths import asset_paths
from optiinfra_assets.settings import Settings

_REPOSITORY: Final = """
query Repository($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) { __typename ... on AssetNode { repository { name location { name } } } }
}"""
_ADD_PARTITION: Final = """
mutation AddPartition($repository: RepositorySelector!, $definition: String!, $key: String!) {
  addDynamicPartition(repositorySelector: $repository, partitionsDefName: $definition, partitionKey: $key) {
    __typename ... on UnauthorizedError { message } ... on PythonError { message }
  }
}"""
_LAUNCH: Final = """
mutation Launch($runs: [ExecutionParams!]!) {
  launchMultipleRuns(executionParamsList: $runs) {
    __typename
    ... on PythonError { message }
    ... on LaunchMultipleRunsResult {
      launchMultipleRunsResult { __typename ... on LaunchRunSuccess { run { runId } } ... on Error { message } }
    }
  }
}"""
_RUNS: Final = """
query Runs($filter: RunsFilter!) {
  runsOrError(filter: $filter) { __typename ... on Runs { results { runId status } } ... on Error { message } }
}"""
_TERMINATE: Final = """
mutation Terminate($runs: [String!]!) {
  terminateRuns(runIds: $runs, terminatePolicy: SAFE_TERMINATE) {
    __typename
    ... on PythonError { message }
    ... on TerminateRunsResult { terminateRunResults { __typename ... on Error { message } } }
  }
}"""

_AUTOMATIONS: Final = """
query Automations {
  repositoriesOrError {
    __typename
    ... on Error { message }
    ... on RepositoryConnection { nodes {
      name
      location { name }
      schedules { name defaultStatus state: scheduleState { status } }
      sensors { name defaultStatus state: sensorState { status } }
    } }
  }
}"""
_START: Final = {
    "schedule": """
mutation Start($selector: ScheduleSelector!) {
  started: startSchedule(scheduleSelector: $selector) { __typename ... on Error { message } }
}""",
    "sensor": """
mutation Start($selector: SensorSelector!) {
  started: startSensor(sensorSelector: $selector) { __typename ... on Error { message } }
}""",
}

_GOING: Final = ("QUEUED", "NOT_STARTED", "MANAGED", "STARTING", "STARTED")


class DagsterClient:
    """A client of the webserver of `settings`. As a context manager it closes its connections on exit."""

    def __init__(self, settings: Settings, timeout_seconds: float = 30) -> None:
        self._url = settings.dagster_url.rstrip("/")
        self._http = httpx.Client(timeout=timeout_seconds, headers=settings.dagster_headers)

    def __enter__(self) -> DagsterClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def repository(self, provider: str) -> dict[str, str]:
        """Return the GraphQL selector of the repository and code location that have the assets of a provider.

        Raises:
            DagsterUnavailable: the webserver does not answer, or no code location has them.
        """
        found = self._ask(_REPOSITORY, key={"path": asset_paths(provider)[0]})["assetNodeOrError"]
        if found["__typename"] != "AssetNode":
            raise DagsterUnavailable(
                f"Dagster at {self._url} has no assets of provider {provider!r}: its code location is not loaded: see {self._url}/locations"
            )
        repository = found["repository"]
        return {
            "repositoryName": repository["name"],
            "repositoryLocationName": repository["location"]["name"],
        }

    def add_partition(self, repository: Mapping[str, str], definition: str, key: str) -> None:
        """Add `key` to the dynamic partitions `definition`, if it is not there yet.

        Raises:
            DagsterUnavailable: the webserver does not answer, or refuses.
        """
        answer = self._ask(_ADD_PARTITION, repository=repository, definition=definition, key=key)["addDynamicPartition"]
        if answer["__typename"] not in ("AddDynamicPartitionSuccess", "DuplicateDynamicPartitionError"):
            raise self._refused(f"partition {key!r}", answer)

    def launch(self, repository: Mapping[str, str], wanted: Sequence[CollectionRunRequest]) -> list[str]:
        """Put the requested runs into Dagster's queue; return their ids in the same order.

        Raises:
            DagsterUnavailable: the webserver does not answer, or refuses one of the runs.
        """
        answer = self._ask(_LAUNCH, runs=[self._parameters(repository, one) for one in wanted])["launchMultipleRuns"]
        if answer["__typename"] != "LaunchMultipleRunsResult":
            raise self._refused("runs", answer)
        results = answer["launchMultipleRunsResult"]
        for one, result in zip(wanted, results, strict=True):
            if result["__typename"] != "LaunchRunSuccess":
                raise self._refused(f"a run of {one.scopes[0]}", result)
        return [result["run"]["runId"] for result in results]

    def end_runs_of(self, task_id: str, customer_id: str | None = None) -> int:
        """Cancel every queued or started run of a task, of one customer if `customer_id` is given; return how many there were.

        Raises:
            DagsterUnavailable: the webserver does not answer, or refuses.
            RunTerminationFailed: Dagster could not terminate one of the runs, and it has not ended by itself meanwhile.
        """
        run_ids = self._going(task_id, customer_id)
        if run_ids:
            answer = self._ask(_TERMINATE, runs=run_ids)["terminateRuns"]
            if answer["__typename"] != "TerminateRunsResult":
                raise self._refused("the end of runs", answer)
            failed = [one for one in answer["terminateRunResults"] if one["__typename"] != "TerminateRunSuccess"]
            if failed and (left := self._going(task_id, customer_id)):
                raise RunTerminationFailed(
                    f"{self._refused('the end of a run', failed[0])}: going on: {', '.join(left)}"
                )
        return len(run_ids)

    def automations(self) -> list[Automation]:
        """Return every schedule and sensor that the platform needs: those that run unless a person stops them.

        Raises:
            DagsterUnavailable: the webserver does not answer, or refuses.
        """
        found = []
        for repository in self._repositories():
            for kind in KINDS:
                for one in repository[f"{kind}s"]:
                    if one["defaultStatus"] == "RUNNING":
                        found.append(Automation(kind, one["name"], one["state"]["status"] == "RUNNING"))
        return found

    def start(self, automation: Automation) -> None:
        """Start a schedule or sensor that was stopped.

        Raises:
            DagsterUnavailable: the webserver does not answer, or refuses.
        """
        for repository in self._repositories():
            if any(one["name"] == automation.name for one in repository[f"{automation.kind}s"]):
                selector = {
                    "repositoryName": repository["name"],
                    "repositoryLocationName": repository["location"]["name"],
                    f"{automation.kind}Name": automation.name,
                }
                answer = self._ask(_START[automation.kind], selector=selector)["started"]
                if answer["__typename"] not in ("ScheduleStateResult", "Sensor"):
                    raise self._refused(f"to start {automation}", answer)

    def _repositories(self) -> list[dict[str, Any]]:
        found = self._ask(_AUTOMATIONS)["repositoriesOrError"]
        if found["__typename"] != "RepositoryConnection":
            raise self._refused("to list schedules and sensors", found)
        nodes: list[dict[str, Any]] = found["nodes"]
        return nodes

    def _going(self, task_id: str, customer_id: str | None) -> list[str]:
        tags = [{"key": TASK_TAG, "value": task_id}]
        tags += [{"key": CUSTOMER_TAG, "value": customer_id}] if customer_id else []
        found = self._ask(_RUNS, filter={"tags": tags, "statuses": list(_GOING)})["runsOrError"]
        if found["__typename"] != "Runs":
            raise self._refused("runs", found)
        return [run["runId"] for run in found["results"]]

    @staticmethod
    def _parameters(repository: Mapping[str, str], request: CollectionRunRequest) -> dict[str, Any]:
        assets = [{"path": path} for path in asset_paths(request.provider)]
        return {
            "selector": {**repository, "jobName": ASSET_JOB, "assetSelection": assets},
            "runConfigData": request.config,
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in request.tags.items()]},
        }

    def _ask(self, document: str, **variables: Any) -> dict[str, Any]:
        try:
            answer = self._http.post(f"{self._url}/graphql", json={"query": document, "variables": variables})
            if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                raise DagsterUnavailable(
                    f"Dagster at {self._url} does not accept our token: set OPTIINFRA_DAGSTER_TOKEN here to the one that its webserver has"
                )
            answer.raise_for_status()
            content = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DagsterUnavailable(
                f"Dagster at {self._url} does not answer: {reason}: start `optiinfra up`, or set OPTIINFRA_DAGSTER_URL"
            ) from None
        if content.get("errors"):
            raise DagsterUnavailable(f"Dagster at {self._url}: {content['errors'][0]['message'].splitlines()[0]}")
        data: dict[str, Any] = content["data"]
        return data

    def _refused(self, what: str, answer: Mapping[str, Any]) -> DagsterUnavailable:
        reason = str(answer.get("message") or answer["__typename"]).strip().splitlines()[0]
        return DagsterUnavailable(f"Dagster at {self._url} refused {what}: {reason}")


def read_automations(settings: Settings, timeout_seconds: float = 2) -> list[Automation]:
    """Ask the webserver of `settings` for the schedules and sensors that the platform needs; see `DagsterClient.automations`."""
    with DagsterClient(settings, timeout_seconds) as dagster:
        return dagster.automations()
