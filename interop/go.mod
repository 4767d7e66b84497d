module github.com/shoal-bt/shoal/interop

go 1.26.2

require github.com/shoal-bt/shoal v0.0.0

replace github.com/shoal-bt/shoal => ../
