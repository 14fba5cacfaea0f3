#!/bin/sh
# Makes the demo's calls with a speech synthesiser: two channels (customer left, agent right), 8 kHz mu-law, as a
# telephone line carries them. Needs espeak-ng and sox. The results are checked in; run this only to change the words.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# say CHANNEL LANGUAGE+VARIANT TEXT: one turn; the other channel is silent for as long.
turn=0
say() {
    turn=$((turn + 1))
    name=$(printf '%s/%03d' "$work" "$turn")
    espeak-ng -v "$2" -s 150 -w "$name.wav" "$3"
    sox "$name.wav" -r 8000 -c 1 -b 16 "$name.voice.wav" highpass 300 lowpass 3400 gain -n -6 pad 0.15 0.35
    sox -n -r 8000 -c 1 -b 16 "$name.silence.wav" trim 0 "$(soxi -D "$name.voice.wav")"
    case $1 in
        customer) sox -M "$name.voice.wav" "$name.silence.wav" "$name.turn.wav" ;;
        agent) sox -M "$name.silence.wav" "$name.voice.wav" "$name.turn.wav" ;;
    esac
}
finish() {
    sox "$work"/*.turn.wav -e mu-law -b 8 "$1"
    rm -f "$work"/*
    turn=0
}

say agent da+m3 "Goddag, du taler med Mette fra Flexii. Hvad kan jeg hjælpe dig med?"
say customer da+f2 "Hej. Jeg har fået en regning, jeg ikke helt forstår. Der står to abonnementer, men jeg har kun ét."
say agent da+m3 "Det ser vi på med det samme. Ja, det ekstra abonnement er oprettet ved en fejl. Jeg sletter det nu, og du får 149 kroner tilbage."
say customer da+f2 "Tusind tak. Hvornår kommer pengene?"
say agent da+m3 "Senest på fredag. Du får en bekræftelse på mail. Er der andet, jeg kan hjælpe med?"
say customer da+f2 "Nej, det var det hele. Hav en god dag."
say agent da+m3 "I lige måde. Farvel."
finish billing-da.wav

say agent da+m3 "Hej, det er Jonas fra Flexii. Du skrev, at dit bredbånd var langsomt i aftes."
say customer da+f2 "Ja, men nu virker det igen."
say agent da+m3 "Det er jeg glad for. Vi skiftede en ledning i skabet på din vej. Ring endelig, hvis det sker igen."
say customer da+f2 "Det gør jeg. Tak for hjælpen."
finish broadband-da.wav
