#!/usr/bin/env bash
# The list of cases of the 51 sarcomas: where each image and its contour lie, who made the scanner,
# and whether lung metastases came.
#
#   deploy/studies/sts-mr/prepare.sh DATA >cases.csv
#
# DATA holds acquisition.csv, clinical.csv, nifti/PATIENT/MR_T1_{image,mask}.nii.gz and, of patients
# without a NIfTI image, dicom/PATIENT/MR_T1/{image,mask}. Images are named where they are, not copied.
set -euo pipefail

(($# == 1)) || { sed -n '5s/^# *//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
data="$(realpath -e -- "$1")"

# LungMets is the last column of clinical.csv, so commas in quoted columns before it do not matter;
# acquisition.csv begins with the patient and the maker.
echo "id,image,mask,label,roi,maker,lung_metastasis,fold"
awk -F, -v OFS=, '
  { sub(/\r$/, "") }
  FNR == 1 { next }
  FILENAME == ARGV[1] { metastasis[$1] = $NF; next }
  !($1 in metastasis) { print "error: " $1 " is not in clinical.csv" >"/dev/stderr"; exit 1 }
  { print $1, $2, metastasis[$1], 1 + seen[$2, metastasis[$1]]++ % 3 }
' "$data/clinical.csv" "$data/acquisition.csv" |
  while IFS=, read -r patient maker metastasis fold; do
    nifti="$data/nifti/$patient" dicom="$data/dicom/$patient/MR_T1"
    if [[ -e "$nifti/MR_T1_image.nii.gz" ]]; then
      files="$nifti/MR_T1_image.nii.gz,$nifti/MR_T1_mask.nii.gz,1,"
    else
      files="$dicom/image,$dicom/mask/RS.dcm,,GTV_Mass*"
    fi
    echo "$patient,$files,$maker,$metastasis,$fold"
  done
