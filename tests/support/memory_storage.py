"""A storage inside the process, for tests whose business is not S3."""


class MemoryStorage:
    """Has the methods of the renderer's ObjectStorage.

    Attributes:
        objects: key -> content, of all buckets.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put(self, _bucket: str, key: str, body: bytes, _content_type: str) -> None:
        self.objects[key] = body

    def get(self, _bucket: str, key: str, _max_bytes: int) -> bytes | None:
        return self.objects.get(key)

    def delete(self, _bucket: str, key: str) -> None:
        self.objects.pop(key, None)
