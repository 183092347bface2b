"""TF Serving's gRPC contract, asked through its own stubs."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)


@pytest.fixture(scope="module")
def channel(server):
    address = server.grpc_address.removeprefix("grpc://")
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(address, options) as channel:
        yield channel


@pytest.fixture(scope="module")
def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def request_of(signature="", model="toy", version=None, **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for name, value in inputs.items():
        if isinstance(value, np.ndarray | list):
            value = tf.make_tensor_proto(value)
        request.inputs[name].CopyFrom(value)
    return request


def refusal(call, request):
    with pytest.raises(grpc.RpcError) as refused:
        call(request, timeout=30)
    return refused.value.code().name, refused.value.details()


def test_an_answer_names_its_version_and_holds_plain_fields(stub):
    response = stub.Predict(request_of(text=[b"a\xff", b""]))
    assert response.model_spec.name == "toy"
    assert response.model_spec.version.value == 1
    assert response.model_spec.signature_name == "serving_default"
    assert list(response.outputs["length"].int_val) == [2, 0]
    assert list(response.outputs["text"].string_val) == [b"a\xff", b""]
    assert set(response.outputs) == {"length", "text", "text_bytes"}


def test_outputs_can_be_chosen(stub):
    request = request_of(text=[b"abc"])
    request.output_filter.append("length")
    assert set(stub.Predict(request).outputs) == {"length"}
    request.output_filter.append("nothing")
    assert refusal(stub.Predict, request) == (
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: nothing Outputs expected to be in the set "
        "{length,text,text_bytes}.",
    )
    request.output_filter[1] = "length"
    assert refusal(stub.Predict, request)[1] == "duplicate output tensor alias: length"


def test_every_type_goes_in_and_out(stub):
    kinds = ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64")

    values = {
        kind: np.array([b"a\x00\xff", b""], object) if kind == "string" else np.array([1, 0], kind)
        for kind in (*kinds, "bool", "string")
    }
    outputs = stub.Predict(request_of("kinds", **values)).outputs
    for kind, value in values.items():
        received = tf.make_ndarray(outputs[kind])
        assert received.dtype == value.dtype
        np.testing.assert_array_equal(received, value)
    nan = np.array([[np.nan, -np.inf]], np.float32)
    np.testing.assert_array_equal(
        tf.make_ndarray(stub.Predict(request_of("plus_one", pair=nan)).outputs["pair"]), nan
    )


def broken_tensor(**fields):
    shape = fields.pop("shape", [1])
    proto = tf.make_tensor_proto([b"a"])
    del proto.tensor_shape.dim[:]
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    for name, value in fields.items():
        setattr(proto, name, value)
    return proto


@pytest.mark.parametrize(
    ("request_proto", "code", "said"),
    [
        (predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (request_of(model=""), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (request_of(model="half"), "NOT_FOUND", "Servable not found for request: Latest(half)"),
        (request_of(model="x" * 20_000), "NOT_FOUND", "x...TRUNCATED"),
        (request_of(version=7), "NOT_FOUND", "Servable not found for request: Specific(toy, 7)"),
        (request_of("none"), "FAILED_PRECONDITION", 'Serving signature key "none" not found.'),
        (request_of(), "INVALID_ARGUMENT", "input size does not match signature: 0!=1 len({}) != "
         "len({text}). Sent extra: {}. Missing but required: {text}."),
        (request_of(txt=[b"a"]), "INVALID_ARGUMENT", "input size does not match signature: 1!=1"),
        (request_of(text=[1.5]), "INVALID_ARGUMENT", "Expected input text to be string"),
        (request_of(text=[b"a"] * 5000), "INVALID_ARGUMENT", "Task size 5000 was larger than"),
        (request_of(text=broken_tensor(shape=[-1])), "INVALID_ARGUMENT", "tensor parsing error"),
        (request_of(text=broken_tensor(shape=[2**26])), "INVALID_ARGUMENT", "Task size 67108864 "),
        (request_of(text=broken_tensor(shape=[1, 2**26])), "INVALID_ARGUMENT", "tensor parsing "
         "error: text is longer than 33554432 bytes"),
        (request_of(text=tf.make_tensor_proto(b"a" * 2**14, shape=[4096])), "INVALID_ARGUMENT",
         "tensor parsing error: text is longer than 33554432 bytes"),
        (request_of(text=broken_tensor(dtype=99)), "INVALID_ARGUMENT", "tensor parsing error"),
        (request_of(text=broken_tensor(tensor_content=b"abc")), "INVALID_ARGUMENT", "tensor pars"),
        (request_of("divide", number=np.array([0], np.int32)), "INVALID_ARGUMENT", "division by z"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_refused_in_tf_servings_words(stub, request_proto, code, said):
    received, details = refusal(stub.Predict, request_proto)
    assert received == code
    assert said in details


def test_one_value_can_stand_for_all_rows(stub):
    value = tf.make_tensor_proto(b"abc", shape=[3])
    assert len(value.string_val) == 1
    assert list(stub.Predict(request_of(text=value)).outputs["length"].int_val) == [3, 3, 3]


def test_a_label_is_unknown_and_other_methods_are_not_there(stub, channel, caplog):
    request = request_of(text=[b"a"])
    request.model_spec.version_label = "stable"
    assert refusal(stub.Predict, request) == (
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: stable",
    )
    assert refusal(stub.Classify, classification_pb2.ClassificationRequest())[0] == "UNIMPLEMENTED"
    assert refusal(stub.Regress, regression_pb2.RegressionRequest())[0] == "UNIMPLEMENTED"
    assert not caplog.records  # nothing of it is an error of the server's


def test_a_message_that_is_too_long_is_refused(stub):
    code, details = refusal(stub.Predict, request_of(text=[b"a" * 40_000_000]))
    assert (code, "larger than max" in details) == ("RESOURCE_EXHAUSTED", True)
    assert stub.Predict(request_of(text=[b"a"])).outputs


def test_status_and_metadata(stub, channel):
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    assert refusal(models.GetModelStatus, request) == ("INVALID_ARGUMENT", "Missing ModelSpec")
    request.model_spec.name = "toy"
    [status] = models.GetModelStatus(request).model_version_status
    assert (status.version, status.state) == (1, get_model_status_pb2.ModelVersionStatus.AVAILABLE)
    request.model_spec.version.value = 9
    assert refusal(models.GetModelStatus, request) == (
        "NOT_FOUND",
        "Could not find version 9 of model toy",
    )

    request = get_model_metadata_pb2.GetModelMetadataRequest()
    request.model_spec.name = "toy"
    assert refusal(stub.GetModelMetadata, request)[1] == (
        "GetModelMetadataRequest must specify at least one metadata_field"
    )
    request.metadata_field.append("signature_def")
    response = stub.GetModelMetadata(request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["weigh"].inputs["pair"].dtype == tf.float32.as_datatype_enum
    request.metadata_field[0] = "weather"
    assert refusal(stub.GetModelMetadata, request)[1] == "Metadata field weather is not supported"
