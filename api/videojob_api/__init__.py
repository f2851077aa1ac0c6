"""The REST service: stateless, it holds nothing that is not in VideoJobs or in S3.

`kubernetes` is the only module that talks to the API server and `storage` the only one that talks to S3; their
exceptions stop there and become those of `errors`. `order_of` and the views are pure.
"""

__version__ = "0.1.0"
