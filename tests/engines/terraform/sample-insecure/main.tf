# What the scan must refuse: a public bucket, a role that may do everything, a database that anybody reaches.

resource "aws_s3_bucket" "public" {
  bucket = "sample-insecure"
  acl    = "public-read-write"
}

data "aws_iam_policy_document" "all" {
  statement {
    actions   = ["*"]
    resources = ["*"]
  }
}

resource "aws_db_instance" "open" {
  engine              = "postgres"
  instance_class      = "db.t4g.small"
  allocated_storage   = 20
  username            = "admin"
  password            = "in-the-source"
  publicly_accessible = true
  storage_encrypted   = false
}

resource "aws_security_group" "world" {
  ingress {
    from_port   = 22
    to_port     = 22
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }
}
