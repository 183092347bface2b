"""TF Serving's configuration files, read as TF Serving reads them."""

import pathlib
import re

import pytest
import yaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,  # noqa: F401 (BatchingParameters is made of these)
)
from tensorflow_serving.config import model_server_config_pb2

from rnnapps.apps import APPLICATIONS

FOLDER = pathlib.Path(__file__).parents[3] / "saved_models"

# session_bundle_config.proto, which the wheel lacks: each field's type and number.
BATCHING = {
    "max_batch_size": ("Int64Value", 1), "batch_timeout_micros": ("Int64Value", 2),
    "max_enqueued_batches": ("Int64Value", 3), "num_batch_threads": ("Int64Value", 4),
    "thread_pool_name": ("StringValue", 5), "enable_large_batch_splitting": ("BoolValue", 8),
    "max_execution_batch_size": ("Int64Value", 9),
}  # fmt: skip


def batching_parameters():
    file = descriptor_pb2.FileDescriptorProto(
        name="batching.proto", package="tensorflow.serving", syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"],
    )  # fmt: skip
    message = file.message_type.add(name="BatchingParameters")
    for name, (kind, number) in BATCHING.items():
        message.field.add(
            name=name, number=number, label=1, type=11, type_name=f".google.protobuf.{kind}"
        )
    message.field.add(name="allowed_batch_sizes", number=6, label=3, type=3)
    message.field.add(name="pad_variable_length_inputs", number=7, label=1, type=8)
    pool = descriptor_pool.Default()
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    found = pool.FindMessageTypeByName("tensorflow.serving.BatchingParameters")
    return message_factory.GetMessageClass(found)()


@pytest.mark.parametrize("every", [False, True])
def test_models_config_is_a_model_server_config(every):
    text = (FOLDER / "models.config").read_text("utf-8")
    if every:  # with the comments taken off, as it says
        text = re.sub(r"(?m)^  # ( *(?:config|name|base|model|}))", r"  \1", text)
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    models = config.model_config_list.config
    assert {model.name for model in models} == (set(APPLICATIONS) if every else {"sentiment"})
    for model in models:
        assert model.base_path == f"/models/{model.name}"
        assert model.model_platform == "tensorflow"


def test_batching_config_is_of_batching_parameters():
    text = (FOLDER / "batching.config").read_text("utf-8")
    parameters = text_format.Parse(text, batching_parameters())
    sizes = list(parameters.allowed_batch_sizes)
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == parameters.max_batch_size.value  # else TF Serving does not start
    assert parameters.num_batch_threads.value >= 1
    assert not parameters.pad_variable_length_inputs


def flags(arguments):
    return dict(argument.removeprefix("--").partition("=")[::2] for argument in arguments)


def test_compose_mounts_the_folder_where_its_files_say():
    service = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))["services"]["serving"]
    assert service["image"].startswith("tensorflow/serving")
    assert service["volumes"] == [".:/models:ro"]
    given = flags(service["command"])
    for flag in ("model_config_file", "batching_parameters_file"):
        assert (FOLDER / given[flag].removeprefix("/models/")).is_file()
    assert "enable_batching" in given
    assert [port.rsplit(":", 1)[1] for port in service["ports"]] == ["8501", "8500"]


def test_the_kubernetes_service_finds_its_pods_and_waits_until_the_model_is_ready():
    deployment, service = yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text("utf-8"))
    assert (deployment["kind"], service["kind"]) == ("Deployment", "Service")
    pod = deployment["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    [container] = pod["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    assert {port["targetPort"] for port in service["spec"]["ports"]} == set(ports)
    probe = container["readinessProbe"]["httpGet"]
    assert probe == {"path": "/v1/models/sentiment", "port": "rest"}
    [mount] = container["volumeMounts"]
    assert mount["name"] == pod["spec"]["volumes"][0]["name"]
    assert flags(container["args"])["model_config_file"].startswith(mount["mountPath"])
