output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "cidr" {
  description = "Its address range."
  value       = aws_vpc.this.cidr_block
}

output "private_subnet_ids" {
  description = "Where nodes, jobs and databases run, a subnet a zone."
  value       = aws_subnet.private[*].id
}

output "public_subnet_ids" {
  description = "Where load balancers that face the internet would stand, a subnet a zone."
  value       = aws_subnet.public[*].id
}

output "s3_endpoint_id" {
  description = "The gateway endpoint by which the VPC reaches S3."
  value       = aws_vpc_endpoint.gateway["s3"].id
}
