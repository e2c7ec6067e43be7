package cli

import "github.com/spf13/cobra"

func newCheckMirror(s *streams) *cobra.Command { return &cobra.Command{Use: "check-mirror"} }
func newSpan(s *streams) *cobra.Command        { return &cobra.Command{Use: "span"} }
