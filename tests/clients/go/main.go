// Says who it is: the id of its access key, and what STS calls its bearer. With "region" it says where the metadata
// service puts it, with "refresh TIMES SECONDS" who it is so many times, with one client and with pauses between, with
// "first" the id of its access key and the nanosecond at which it had it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, words []string) error {
	switch {
	case len(words) == 0:
		return callers(ctx, 1, 0)
	case len(words) == 1 && words[0] == "region":
		return region(ctx)
	case len(words) == 1 && words[0] == "first":
		return first(ctx)
	case len(words) == 3 && words[0] == "refresh":
		times, err := strconv.Atoi(words[1])
		if err != nil {
			return err
		}
		pause, err := time.ParseDuration(words[2] + "s")
		if err != nil {
			return err
		}
		return callers(ctx, times, pause)
	default:
		return fmt.Errorf("neither region nor first nor refresh TIMES SECONDS: %q", words)
	}
}

func callers(ctx context.Context, times int, pause time.Duration) error {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	client := sts.NewFromConfig(cfg)
	for number := range times {
		if number > 0 {
			time.Sleep(pause)
		}
		caller, err := client.GetCallerIdentity(ctx, nil)
		if err != nil {
			return err
		}
		keys, err := cfg.Credentials.Retrieve(ctx)
		if err != nil {
			return err
		}
		fmt.Println(keys.AccessKeyID, *caller.Arn)
	}
	return nil
}

func first(ctx context.Context) error {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	keys, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	fmt.Println(keys.AccessKeyID, time.Now().UnixNano())
	return nil
}

func region(ctx context.Context) error {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithEC2IMDSRegion())
	if err != nil {
		return err
	}
	if cfg.Region == "" {
		return errors.New("no Region")
	}
	fmt.Println(cfg.Region)
	return nil
}
