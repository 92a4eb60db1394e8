locals {
  tables = {
    order_events = {
      range_key  = "sk"
      attributes = { pk = "S", sk = "S", order_name = "S", epoch = "N" }
      indexes    = { order_name_index = { hash_key = "order_name", range_key = "epoch" } }
    }

    orchestrator_locks = {
      range_key  = null
      attributes = { pk = "S" }
      indexes    = {}
    }

    orders = {
      range_key  = null
      attributes = { pk = "S" }
      indexes    = {}
    }
  }
}

resource "aws_dynamodb_table" "table" {
  for_each = local.tables

  name         = local.names[each.key]
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  range_key    = each.value.range_key

  dynamic "attribute" {
    for_each = each.value.attributes

    content {
      name = attribute.key
      type = attribute.value
    }
  }

  dynamic "global_secondary_index" {
    for_each = each.value.indexes

    content {
      name            = global_secondary_index.key
      hash_key        = global_secondary_index.value.hash_key
      range_key       = global_secondary_index.value.range_key
      projection_type = "ALL"
    }
  }

  ttl {
    attribute_name = "ttl"
    enabled        = true
  }
}
