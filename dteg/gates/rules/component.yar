/*
    Rules on the plain text of a component's files. `tests = "skip"`: fine in a file of tests, which only run in the
    sandbox. Severity HIGH fails the security gate and cannot be waived; MEDIUM needs a waiver in dteg.yaml.
*/

rule dteg_crypto_miner {
    meta:
        severity = "HIGH"
        description = "speaks to a mining pool"
    strings:
        $a = "stratum+tcp://" nocase
        $b = "stratum+ssl://" nocase
        $c = "xmrig" nocase fullword
        $d = "minexmr" nocase
        $e = "coinhive" nocase
        $f = "cryptonight" nocase
    condition:
        any of them
}

rule dteg_cloud_metadata {
    meta:
        severity = "HIGH"
        description = "asks a cloud's metadata service, which hands out the machine's credentials"
    strings:
        $a = "169.254.169.254"
        $b = "metadata.google.internal"
        $c = "100.100.100.200"
        $d = "fd00:ec2::254"
    condition:
        any of them
}

rule dteg_dropper {
    meta:
        severity = "HIGH"
        description = "downloads a program and pipes it into a shell"
    strings:
        $a = /(curl|wget)[^\n|]{1,200}\|\s*(ba|z|da)?sh\b/
        $b = /powershell(\.exe)?\s+-(e|enc|encodedcommand)\b/ nocase
    condition:
        any of them
}

rule dteg_reverse_shell {
    meta:
        severity = "HIGH"
        description = "opens a shell for somebody elsewhere"
    strings:
        $a = "/dev/tcp/"
        $b = "/dev/udp/"
        $c = /nc(at)?\s+(-\w+\s+)*-e\s+\/bin/
        $d = /bash\s+-i\s+>&/
    condition:
        any of them
}

rule dteg_credential_files {
    meta:
        severity = "HIGH"
        description = "names files with other people's credentials"
    strings:
        $a = ".aws/credentials"
        $b = ".ssh/id_"
        $c = "/etc/shadow"
        $d = ".netrc"
        $e = ".docker/config.json"
        $f = ".kube/config"
        $g = ".pypirc"
        $h = "Login Data" fullword
        $i = ".git-credentials"
        $j = ".config/gcloud"
    condition:
        any of them
}

rule dteg_process_environment {
    meta:
        severity = "HIGH"
        description = "reads the environment of processes"
    strings:
        $a = /\/proc\/[^\s"']{1,20}\/environ/
        $b = /\/proc\/[^\s"']{1,20}\/mem\b/
        $c = /\/proc\/[^\s"']{1,20}\/fd\b/
    condition:
        any of them
}

rule dteg_persistence {
    meta:
        severity = "HIGH"
        description = "installs itself to be run again"
    strings:
        $a = "/etc/cron"
        $b = "crontab -"
        $c = ".bashrc"
        $d = ".bash_profile"
        $e = "/etc/systemd/system"
        $f = "LaunchAgents"
        $g = "sitecustomize"
        $h = "usercustomize"
    condition:
        any of them
}

rule dteg_exfiltration_host {
    meta:
        severity = "HIGH"
        description = "names a service that collects what is sent to it"
    strings:
        $a = "webhook.site" nocase
        $b = "requestbin" nocase
        $c = "pipedream.net" nocase
        $d = "burpcollaborator" nocase
        $e = "oastify.com" nocase
        $f = "interact.sh" nocase
        $g = "transfer.sh" nocase
        $h = "discord.com/api/webhooks" nocase
        $i = "discordapp.com/api/webhooks" nocase
        $j = "api.telegram.org/bot" nocase
        $k = "ngrok.io" nocase
        $l = "pastebin.com/raw" nocase
    condition:
        any of them
}

rule dteg_onion {
    meta:
        severity = "HIGH"
        description = "names a hidden service"
    strings:
        $a = /[a-z2-7]{16,56}\.onion\b/
    condition:
        any of them
}

rule dteg_wallet {
    meta:
        severity = "HIGH"
        description = "looks for wallets"
    strings:
        $a = "wallet.dat"
        $b = "Ethereum/keystore"
        $c = "nkbihfbeogaeaoehlefnkodbefgpgknn"
        $d = "Exodus/exodus.wallet"
    condition:
        any of them
}

rule dteg_invisible_text {
    meta:
        severity = "HIGH"
        description = "holds characters that change the order in which text is shown, or are not shown"
    strings:
        $a = { E2 80 AA }
        $b = { E2 80 AB }
        $c = { E2 80 AD }
        $d = { E2 80 AE }
        $e = { E2 81 A6 }
        $f = { E2 81 A7 }
        $g = { E2 81 A8 }
        $h = { E2 80 8B }
    condition:
        any of them
}

rule dteg_disabled_verification {
    meta:
        severity = "MEDIUM"
        description = "does not check who answers over TLS"
        tests = "skip"
    strings:
        $a = /verify\s*=\s*False/
        $b = "_create_unverified_context"
        $c = "CERT_NONE" fullword
        $d = /check_hostname\s*=\s*False/
    condition:
        any of them
}

rule dteg_kernel_interface {
    meta:
        severity = "HIGH"
        description = "reaches for the machine below its files"
    strings:
        $a = "/dev/mem" fullword
        $b = "/dev/kmem" fullword
        $c = "/var/run/docker.sock"
        $d = "/run/containerd"
        $e = "/proc/sysrq-trigger"
        $f = "LD_PRELOAD" fullword
    condition:
        any of them
}
