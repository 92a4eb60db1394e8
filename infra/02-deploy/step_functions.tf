# One execution watches one order, or one run: it looks every minute until all is over.

resource "aws_sfn_state_machine" "watchdog" {
  name     = local.names["watchdog"]
  role_arn = aws_iam_role.role["watchdog"].arn

  definition = jsonencode({
    Comment = "Ends an order (or packaging, or a run) that did not end by its deadline"
    StartAt = "CheckResult"
    States = {
      # The answer is merged into the execution's input, so that the next turn has run, order and
      # times as the first one had, and what this turn answered.
      CheckResult = {
        Type           = "Task"
        Resource       = local.function_arns["watchdog_check"]
        ResultSelector = { "task.$" = "States.JsonMerge($$.Execution.Input, $, false)" }
        OutputPath     = "$.task"
        # A watchdog that dies leaves its order unguarded, and its name is burnt for 90 days: it
        # outlasts an outage of hours.
        Retry = [
          {
            ErrorEquals     = ["States.ALL"]
            IntervalSeconds = 5
            BackoffRate     = 2
            MaxDelaySeconds = 60
            MaxAttempts     = 1000
          }
        ]
        Next = "IsDone"
      }

      IsDone = {
        Type    = "Choice"
        Choices = [{ Variable = "$.done", BooleanEquals = true, Next = "Succeed" }]
        Default = "WaitStep"
      }

      WaitStep = {
        Type    = "Wait"
        Seconds = 60
        Next    = "CheckResult"
      }

      Succeed = {
        Type = "Succeed"
      }
    }
  })

  depends_on = [aws_iam_role_policy.policy]
}
