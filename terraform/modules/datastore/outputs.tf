output "bucket" {
  description = "The bucket's name."
  value       = aws_s3_bucket.artifacts.id
}

output "bucket_arn" {
  description = "The bucket's ARN."
  value       = aws_s3_bucket.artifacts.arn
}

output "prefix" {
  description = "The folder of Metaflow's artifacts."
  value       = var.prefix
}

output "root" {
  description = "Metaflow's METAFLOW_DATASTORE_SYSROOT_S3, flowc's datastore-root."
  value       = "s3://${aws_s3_bucket.artifacts.id}/${var.prefix}"
}

output "kms_key_arn" {
  description = "The key that encrypts the objects; who reads or writes them must be allowed to use it."
  value       = var.kms_key_arn
}
