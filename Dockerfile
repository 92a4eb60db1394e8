# One image for the four Lambda functions, each with a command of its own (infra/02-deploy/lambdas.tf),
# and for CodeBuild (codebuild.tf). docs/DEPLOY.md, step 3, builds it; `make image-check` tries what is
# in it without Docker.

# The tag moves with AWS's patches of Python and of Amazon Linux. A digest behind it holds the base, and
# with it the packages below, as they were: --build-arg PYTHON=3.13@sha256:...
ARG PYTHON=3.13

FROM public.ecr.aws/lambda/python:${PYTHON} AS base


FROM base AS dependencies

COPY requirements/runtime.lock /tmp/
RUN python -m pip install --no-cache-dir --require-hashes --only-binary=:all: \
      --target /packages -r /tmp/runtime.lock


# Terraform or OpenTofu for jobs, when a version and its checksum are given. None by default: which
# tool, and which version of it, is the jobs' business.
FROM base AS tools

# hadolint ignore=DL3041
RUN dnf install -y --nodocs --setopt=install_weak_deps=0 unzip && dnf clean all
COPY scripts/fetch_tool.sh /usr/local/bin/
ARG TERRAFORM_VERSION="" TERRAFORM_SHA256="" TOFU_VERSION="" TOFU_SHA256=""
RUN mkdir /tools && \
    fetch_tool.sh terraform "$TERRAFORM_VERSION" "$TERRAFORM_SHA256" /tools && \
    fetch_tool.sh tofu "$TOFU_VERSION" "$TOFU_SHA256" /tools


FROM base

# git and ssh fetch the code of jobs; the rest unpacks what commands and terraform download. Amazon
# Linux locks its repositories to the release of the base image, so that pins the packages (DL3041).
# ssh refuses to start for a user without a name, and Lambda runs everything as user 993.
# hadolint ignore=DL3041
RUN dnf install -y --nodocs --setopt=install_weak_deps=0 \
      git-core gzip openssh-clients tar unzip && \
    dnf clean all && \
    { grep -q '^[^:]*:[^:]*:993:' /etc/passwd || \
      echo 'sbx_user1051:x:993:990::/tmp:/sbin/nologin' >>/etc/passwd; }

COPY --from=tools /tools/ /usr/local/bin/
COPY --from=dependencies /packages/ ${LAMBDA_TASK_ROOT}/
COPY src/__init__.py ${LAMBDA_TASK_ROOT}/src/
COPY src/common ${LAMBDA_TASK_ROOT}/src/common
COPY src/orchestrator ${LAMBDA_TASK_ROOT}/src/orchestrator
COPY src/process_webhook ${LAMBDA_TASK_ROOT}/src/process_webhook
COPY src/watchdog_check ${LAMBDA_TASK_ROOT}/src/watchdog_check
COPY src/worker ${LAMBDA_TASK_ROOT}/src/worker

# Lambda reads it as another user than root, whatever the umask of the clone was, and from a file
# system that takes no byte code.
RUN chmod -R a+rX "$LAMBDA_TASK_ROOT/src" && python -m compileall -q "$LAMBDA_TASK_ROOT/src"

ARG REVISION=unknown
LABEL org.opencontainers.image.title="iac-ci" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision="${REVISION}"

# Every function names its own handler, and CodeBuild overrides the entry point; this is the default.
CMD ["src.process_webhook.handler.handler"]
