"""The environment variables through which the operator hands a request to the renderer.

A request travels in the environment because argv shows in `ps`. S3 credentials, where a renderer has any, travel in
the variables that boto3 itself reads (AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
AWS_DEFAULT_REGION).
"""

NAME = "VIDEOJOB_NAME"
NAMESPACE = "VIDEOJOB_NAMESPACE"
UID = "VIDEOJOB_UID"
POD_NAME = "VIDEOJOB_POD_NAME"
REQUEST = "VIDEOJOB_REQUEST"  # ResolvedRequest as JSON
TOKEN_DIR = "VIDEOJOB_TOKEN_DIR"  # noqa: S105 - a folder with token, ca.crt and namespace
TERMINATION_LOG = "VIDEOJOB_TERMINATION_LOG"
IMAGE = "VIDEOJOB_IMAGE"  # the image the renderer runs in, for status.renderer.image
SPEED = "VIDEOJOB_SPEED"  # SpeedOptions as JSON; absent = all defaults
TRACEPARENT = "VIDEOJOB_TRACEPARENT"  # the trace of the request, for the log; absent = it belongs to none
GPUS = "VIDEOJOB_GPUS"  # how many the profile gives the pod; absent = none
BROKER_URL = "VIDEOJOB_BROKER_URL"  # of the API, which signs requests to S3; absent or empty = the pod has keys
S3_BUCKET = "VIDEOJOB_S3_BUCKET"
S3_PREFIX = "VIDEOJOB_S3_PREFIX"
CHECKPOINT_SECONDS = "VIDEOJOB_CHECKPOINT_SECONDS"  # at least so long between two; absent = 10, 0 = each step
PROGRESS_SECONDS = "VIDEOJOB_PROGRESS_SECONDS"  # between two writes of progress within a stage; absent = 2

MODEL_CACHE = "VIDEOJOB_MODEL_CACHE"  # a folder of staged models, set by a profile's env; absent = none

CATALOGUE = "VIDEOJOB_CATALOGUE"  # path of catalogue.json
PROFILES = "VIDEOJOB_PROFILES"  # path of profiles.json

TOKEN_MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a folder
TERMINATION_LOG_PATH = "/dev/termination-log"
