// Reads a compose file as Docker does, and prints what is wrong with it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	options, err := cli.NewProjectOptions(os.Args[1:2], cli.WithName("otel-chat"), cli.WithEnvFiles(os.Args[2:]...), cli.WithDotEnv, cli.WithResolvedPaths(true))
	if err == nil {
		project, problem := options.LoadProject(context.Background())
		if err = problem; err == nil {
			text, problem := project.MarshalJSON()
			err = problem
			fmt.Println(string(text))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
