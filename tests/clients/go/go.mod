module clients

go 1.19

require (
	github.com/aws/aws-sdk-go v1.55.8
	github.com/minio/minio-go/v7 v7.0.66
)

require (
	github.com/jmespath/go-jmespath v0.4.0 // indirect
	github.com/json-iterator/go v1.1.12 // indirect
	github.com/klauspost/cpuid/v2 v2.2.6 // indirect
	github.com/minio/md5-simd v1.1.2 // indirect
	github.com/modern-go/concurrent v0.0.0-20180306012644-bacd9c7ef1dd // indirect
	github.com/modern-go/reflect2 v1.0.2 // indirect
	golang.org/x/sys v0.15.0 // indirect
	gopkg.in/ini.v1 v1.67.0 // indirect
)
