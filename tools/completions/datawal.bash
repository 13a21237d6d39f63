# SPDX-License-Identifier: MIT OR Apache-2.0
#
# bash completion for datawal(1).  The commands and options are those of --help.

_datawal()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local program=${COMP_WORDS[0]} command="" operands=0 i words

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--limit | --from-segment | --from-offset | --key | --key-base64 | --key-hex | \
			--value-base64 | --file | --bytes | --since | --prefix | --keep) ((i++)) ;;
		-*) ;;
		*)
			if [ -z "$command" ]; then
				command=${COMP_WORDS[i]}
			else
				((operands++))
			fi
			;;
		esac
	done
	COMPREPLY=()
	case $prev in
	--bytes)
		mapfile -t COMPREPLY < <(compgen -W "auto raw base64 hex" -- "$cur")
		return
		;;
	--file)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--limit | --from-segment | --from-offset | --key | --key-base64 | --key-hex | --value-base64 | --since | \
		--prefix | --keep)
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		# shellcheck disable=SC2086 # no command is no word
		words=$("$program" $command --help 2>/dev/null | sed -n 's/^  *\(-.*\)/\1/p' |
			grep -oE -- '(^|, )--?[a-zA-Z][a-z0-9-]*' | tr -d ', ')
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	elif [ -z "$command" ]; then
		words=$("$program" --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^    \([a-z]*\) .*/\1/p')
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	elif [ $operands = 0 ]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
	else
		case $command in
		export | import | apply | compact)
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			;;
		esac
	fi
}

complete -F _datawal datawal
