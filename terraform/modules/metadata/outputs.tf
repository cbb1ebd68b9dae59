output "url" {
  description = "Metaflow's METAFLOW_SERVICE_URL, inside the VPC."
  value       = "http://${aws_lb.this.dns_name}"
}

output "metadata" {
  description = "flowc's setting of that name."
  value       = "service@http://${aws_lb.this.dns_name}"
}
