"""AWS on this machine: ministack in a process of its own, with what it lacks bridged.

    with EmbeddedAws(Options(folder=folder)) as aws:
        ...  # aws.endpoint, aws.ca, aws.environment: for boto3, terraform, curl

IAM is enforced, and everything is served by https under a CA of its own. Functions of images run
their command from the source tree in processes of their own, builds run their buildspec, and the
waits of state machines are shortened. It listens on 127.0.0.1 only. It runs code as you do: no
sandbox, and no security boundary.
"""
