"""The words of the API server by which the kinds of its refusals are told apart: its codes do not tell them."""

import re

USER_MAY_NOT = re.compile(r"is forbidden: User ")
POLICY_SAYS_NO = re.compile(r"ValidatingAdmissionPolicy|admission webhook|denied request|denied the request")
