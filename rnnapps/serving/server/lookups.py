"""Status and metadata of models, for REST and gRPC alike."""

from google.protobuf.message import Message
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
)

from rnnapps.serving.server.model_manager import ModelManager
from rnnapps.serving.server.servable import Servable
from rnnapps.serving.server.status import invalid


def version_of(manager: ModelManager, spec: model_pb2.ModelSpec) -> Servable:
    """The loaded version that a request names.

    Args:
        manager: The models.
        spec: The model's name and, optionally, version.

    Raises:
        StatusError: If it is not loaded.
    """
    if not spec.name:
        raise invalid("ModelSpec has no name specified.")
    if spec.HasField("version_label"):
        raise invalid(f"Unrecognized servable version label: {spec.version_label}")
    return manager.get(spec.name, spec.version.value if spec.HasField("version") else None)


def model_status(
    manager: ModelManager, request: get_model_status_pb2.GetModelStatusRequest
) -> get_model_status_pb2.GetModelStatusResponse:
    """The response to a status request: the states of a model's versions."""
    spec = spec_of(request)
    number = spec.version.value if spec.HasField("version") else None
    response = get_model_status_pb2.GetModelStatusResponse()
    for version, state in manager.states(spec.name, number).items():
        status = response.model_version_status.add(version=version)
        status.state = get_model_status_pb2.ModelVersionStatus.State.Value(state.name)
        status.status.error_code = int(state.code)
        status.status.error_message = state.message
    return response


def model_metadata(
    manager: ModelManager, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The response to a metadata request: a model's signatures."""
    spec = spec_of(request)
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != "signature_def":
            raise invalid(f"Metadata field {field} is not supported")
    version = version_of(manager, spec)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in version.signatures.items():
        signatures.signature_def[name].CopyFrom(signature)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = version.model
    response.model_spec.version.value = version.number
    response.metadata["signature_def"].Pack(signatures)
    return response


def spec_of(request: Message) -> model_pb2.ModelSpec:
    """The model that a gRPC request names."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec
