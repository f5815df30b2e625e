"""The fixed words of the notice on the wall, in the six languages: what holds in every district.

They repeat what docs/PRIVACY.md promises and nothing more. What differs from district to district is the operator's
(contracts.notice). A test compares the places (`{days}` and the like) of all languages.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Words:
    """One language. Lists are as long in every language; `labels` stand in the order of contracts.notice.FIELDS."""

    title: str
    lead: str
    steps_title: str
    steps: tuple[str, ...]
    kept_title: str
    kept: tuple[str, ...]
    limits_title: str
    limits: tuple[str, ...]
    who_title: str
    labels: tuple[str, str, str, str, str]
    practice_title: str
    practice: str
    address: str
    code: str
    group: str
    page_hash: str
    qr: str
    demonstration: str


WORDS: Final = {
    "en": Words(
        title="Test yourself without giving your name",
        lead="This kiosk tests your own swab and asks for no name. Your result is locked the moment it exists, "
        "and only the code on your slip opens it.",
        steps_title="How it goes",
        steps=(
            "Choose your language on the screen and take your slip. Its code exists nowhere else: "
            "nobody can print it again.",
            "Put the cartridge in within the time that the screen shows.",
            "Read your result from the time on the slip, for {days} days, on any device, at the address on the slip.",
            "Typing the code is safer than scanning it: a scanning app may see it.",
        ),
        kept_title="What is kept",
        kept=(
            "Your sealed result, until one hour after the {days} days, in a public file in which nobody can tell it "
            "from filler.",
            "Counts of the whole kiosk, hidden in random noise from the start. They can change the odds of a guess "
            "about one test by a factor of {factor} at most; several tests multiply it.",
            "No name, picture, telephone number or payment.",
        ),
        limits_title="What nobody can promise you",
        limits=(
            "Whoever finds or photographs your slip can read your result. Keep it, then destroy it.",
            "Whoever controls this kiosk during your visit, or the server of the result page, could read your result.",
            "Whoever keeps a copy of the public file and has your code can open it for ever.",
            "People and cameras nearby can see that you came.",
            "A negative result does not rule out an infection, and no slip is a certificate.",
        ),
        who_title="Who answers for it",
        labels=(
            "Responsible",
            "Questions and complaints",
            "Legal basis",
            "Duty to report",
            "Having a result confirmed",
        ),
        practice_title="Try it first",
        practice="This practice code behaves exactly like a real one and shows an example. Everybody may use it.",
        address="Address",
        code="Practice code",
        group="Ready group",
        page_hash="Fingerprint of the result page",
        qr="QR code of the practice address",
        demonstration="DEMONSTRATION: this notice is not valid. Nobody responsible has written its texts.",
    ),
    "zh": Words(
        title="无需姓名，自助检测",
        lead="本检测亭检测您自己采集的拭子，不询问姓名。结果一产生即被加密，只有您小票上的代码才能打开。",
        steps_title="步骤",
        steps=(
            "在屏幕上选择语言并取走小票。代码仅此一份，任何人都无法重新打印。",
            "在屏幕显示的时间内插入试剂盒。",
            "从小票上的时间起 {days} 天内，可用任何设备在小票上的网址查看结果。",
            "手动输入代码比扫描更安全：扫描应用可能会看到代码。",
        ),
        kept_title="保存什么",
        kept=(
            "您的加密结果，保存到 {days} 天期满后一小时，存放在公开文件中，无人能将其与填充数据区分开。",
            "整个检测亭的计数，从一开始就藏在随机噪声中。它们最多能使他人对一次检测的猜测赔率改变 {factor} 倍；"
            "多次检测会相乘。",
            "不保存姓名、照片、电话号码或付款信息。",
        ),
        limits_title="任何人都无法保证的事",
        limits=(
            "捡到或拍下您小票的人可以看到您的结果。请妥善保管，之后销毁。",
            "在您检测时控制本检测亭的人，或控制结果页面服务器的人，可能读到您的结果。",
            "保留公开文件副本并持有您代码的人，永远可以打开它。",
            "附近的人和摄像头可以看到您来过。",
            "阴性结果不能排除感染，小票也不是证明。",
        ),
        who_title="由谁负责",
        labels=("负责机构", "咨询与投诉", "法律依据", "报告义务", "结果复核"),
        practice_title="先试一试",
        practice="这个练习代码与真实代码完全一样，显示一个示例结果。任何人都可以使用。",
        address="网址",
        code="练习代码",
        group="就绪组",
        page_hash="结果页面的指纹",
        qr="练习网址的二维码",
        demonstration="演示：本告示无效，其内容并非由负责机构撰写。",
    ),
    "fr": Words(
        title="Testez-vous sans donner votre nom",
        lead="Cette borne teste votre propre prélèvement et ne demande aucun nom. Votre résultat est scellé dès qu’il "
        "existe, et seul le code de votre ticket l’ouvre.",
        steps_title="Comment cela se passe",
        steps=(
            "Choisissez votre langue à l’écran et prenez votre ticket. Son code n’existe nulle part ailleurs : "
            "personne ne peut l’imprimer de nouveau.",
            "Insérez la cartouche dans le temps indiqué à l’écran.",
            "Lisez votre résultat à partir de l’heure du ticket, pendant {days} jours, sur n’importe quel appareil, à "
            "l’adresse du ticket.",
            "Taper le code est plus sûr que le scanner : une application de lecture peut le voir.",
        ),
        kept_title="Ce qui est conservé",
        kept=(
            "Votre résultat scellé, jusqu’à une heure après les {days} jours, dans un fichier public où personne ne "
            "peut le distinguer du remplissage.",
            "Des totaux de toute la borne, cachés dès le départ dans un bruit aléatoire. Ils changent la cote d’une "
            "supposition sur un test d’un facteur {factor} au plus ; plusieurs tests le multiplient.",
            "Ni nom, ni image, ni numéro de téléphone, ni paiement.",
        ),
        limits_title="Ce que personne ne peut vous promettre",
        limits=(
            "Qui trouve ou photographie votre ticket peut lire votre résultat. Gardez-le, puis détruisez-le.",
            "Qui contrôle cette borne pendant votre visite, ou le serveur de la page des résultats, pourrait lire "
            "votre résultat.",
            "Qui garde une copie du fichier public et possède votre code peut l’ouvrir pour toujours.",
            "Les personnes et les caméras à proximité peuvent voir que vous êtes venu.",
            "Un résultat négatif n’exclut pas une infection, et aucun ticket n’est un certificat.",
        ),
        who_title="Qui en répond",
        labels=(
            "Responsable",
            "Questions et réclamations",
            "Base légale",
            "Obligation de déclarer",
            "Faire confirmer un résultat",
        ),
        practice_title="Essayez d’abord",
        practice="Ce code d’essai se comporte exactement comme un vrai et montre un exemple. Chacun peut l’utiliser.",
        address="Adresse",
        code="Code d’essai",
        group="Groupe de disponibilité",
        page_hash="Empreinte de la page des résultats",
        qr="Code QR de l’adresse d’essai",
        demonstration="DÉMONSTRATION : cet avis n’est pas valable. Aucun responsable n’a écrit ses textes.",
    ),
    "es": Words(
        title="Hágase la prueba sin dar su nombre",
        lead="Este quiosco analiza su propia muestra y no pide ningún nombre. Su resultado queda sellado en cuanto "
        "existe, y solo lo abre el código de su tique.",
        steps_title="Cómo funciona",
        steps=(
            "Elija su idioma en la pantalla y tome su tique. El código no existe en ningún otro lugar: nadie puede "
            "imprimirlo de nuevo.",
            "Introduzca el cartucho dentro del tiempo que muestra la pantalla.",
            "Lea su resultado desde la hora del tique, durante {days} días, en cualquier dispositivo, en la dirección "
            "del tique.",
            "Teclear el código es más seguro que escanearlo: una aplicación de lectura puede verlo.",
        ),
        kept_title="Qué se conserva",
        kept=(
            "Su resultado sellado, hasta una hora después de los {days} días, en un archivo público en el que nadie "
            "puede distinguirlo del relleno.",
            "Recuentos de todo el quiosco, ocultos desde el principio en ruido aleatorio. Cambian como máximo por un "
            "factor de {factor} la razón de probabilidades de una conjetura sobre una prueba; varias pruebas lo "
            "multiplican.",
            "Ni nombre, ni imagen, ni número de teléfono, ni pago.",
        ),
        limits_title="Lo que nadie puede prometerle",
        limits=(
            "Quien encuentre o fotografíe su tique puede leer su resultado. Guárdelo y después destrúyalo.",
            "Quien controle este quiosco durante su visita, o el servidor de la página de resultados, podría leer su "
            "resultado.",
            "Quien guarde una copia del archivo público y tenga su código podrá abrirlo siempre.",
            "Las personas y las cámaras cercanas pueden ver que ha venido.",
            "Un resultado negativo no descarta una infección, y ningún tique es un certificado.",
        ),
        who_title="Quién responde",
        labels=(
            "Responsable",
            "Preguntas y reclamaciones",
            "Base jurídica",
            "Obligación de notificar",
            "Confirmar un resultado",
        ),
        practice_title="Pruébelo antes",
        practice="Este código de práctica se comporta como uno real y muestra un ejemplo. Todos pueden usarlo.",
        address="Dirección",
        code="Código de práctica",
        group="Grupo de disponibilidad",
        page_hash="Huella de la página de resultados",
        qr="Código QR de la dirección de práctica",
        demonstration="DEMOSTRACIÓN: este aviso no es válido. Ningún responsable ha escrito sus textos.",
    ),
    "ru": Words(
        title="Проверьтесь, не называя имени",
        lead="Этот киоск исследует мазок, который вы взяли сами, и не спрашивает имени. Результат запечатывается, как "
        "только он появился, и открыть его можно только кодом с вашего талона.",
        steps_title="Как это происходит",
        steps=(
            "Выберите язык на экране и возьмите талон. Его кода больше нигде нет: никто не может напечатать его снова.",
            "Вставьте картридж за время, указанное на экране.",
            "Результат можно прочитать начиная со времени на талоне, в течение {days} дней, с любого устройства, по "
            "адресу на талоне.",
            "Вводить код вручную безопаснее, чем сканировать: приложение-сканер может его увидеть.",
        ),
        kept_title="Что хранится",
        kept=(
            "Ваш запечатанный результат — ещё один час после {days} дней, в открытом файле, где никто не отличит его "
            "от заполнителя.",
            "Счётчики всего киоска, с самого начала скрытые случайным шумом. Они меняют шансы догадки об одном тесте "
            "не более чем в {factor} раза; при нескольких тестах это умножается.",
            "Ни имени, ни снимка, ни номера телефона, ни оплаты.",
        ),
        limits_title="Чего никто не может обещать",
        limits=(
            "Тот, кто найдёт или сфотографирует ваш талон, прочитает результат. Храните его, затем уничтожьте.",
            "Тот, кто управляет этим киоском во время вашего визита или сервером страницы результатов, мог бы "
            "прочитать ваш результат.",
            "Тот, кто сохранил копию открытого файла и знает ваш код, сможет открыть его всегда.",
            "Люди и камеры поблизости могут видеть, что вы приходили.",
            "Отрицательный результат не исключает инфекцию, и талон не является справкой.",
        ),
        who_title="Кто за это отвечает",
        labels=(
            "Ответственный",
            "Вопросы и жалобы",
            "Правовое основание",
            "Обязанность сообщать",
            "Подтверждение результата",
        ),
        practice_title="Сначала попробуйте",
        practice="Этот учебный код ведёт себя точно как настоящий и показывает пример. Им может пользоваться каждый.",
        address="Адрес",
        code="Учебный код",
        group="Группа готовности",
        page_hash="Отпечаток страницы результатов",
        qr="QR-код учебного адреса",
        demonstration="ДЕМОНСТРАЦИЯ: это объявление недействительно. Никто из ответственных не писал его текстов.",
    ),
    "ar": Words(
        title="افحص نفسك دون ذكر اسمك",
        lead="يفحص هذا الكشك المسحة التي تأخذها بنفسك ولا يطلب اسمًا. تُختم نتيجتك لحظة ظهورها، ولا يفتحها إلا الرمز "
        "المطبوع على قسيمتك.",
        steps_title="كيف يجري الفحص",
        steps=(
            "اختر لغتك على الشاشة وخذ قسيمتك. لا يوجد رمزها في أي مكان آخر: لا يستطيع أحد طباعته مرة أخرى.",
            "أدخل الخرطوشة خلال الوقت الظاهر على الشاشة.",
            "اقرأ نتيجتك ابتداءً من الوقت المكتوب على القسيمة، ولمدة {days} أيام، على أي جهاز، "
            "في العنوان المكتوب عليها.",
            "كتابة الرمز باليد أكثر أمانًا من مسحه: قد يراه تطبيق المسح.",
        ),
        kept_title="ما الذي يُحفظ",
        kept=(
            "نتيجتك المختومة، حتى ساعة بعد انقضاء {days} أيام، في ملف عام لا يستطيع أحد أن يميزها فيه من الحشو.",
            "أعداد تخص الكشك كله، مخفية منذ البداية في ضجيج عشوائي. تغيّر أرجحية التخمين بشأن فحص واحد "
            "بعامل {factor} على الأكثر، ويتضاعف العامل مع تكرار الفحوص.",
            "لا اسم ولا صورة ولا رقم هاتف ولا دفع.",
        ),
        limits_title="ما لا يستطيع أحد أن يعدك به",
        limits=(
            "من يجد قسيمتك أو يصورها يستطيع قراءة نتيجتك. احتفظ بها ثم أتلفها.",
            "من يتحكم في هذا الكشك أثناء زيارتك، أو في خادم صفحة النتائج، يمكنه قراءة نتيجتك.",
            "من يحتفظ بنسخة من الملف العام ولديه رمزك يستطيع فتحها دائمًا.",
            "يمكن للناس والكاميرات القريبة أن ترى أنك أتيت.",
            "النتيجة السلبية لا تنفي الإصابة، والقسيمة ليست شهادة.",
        ),
        who_title="من المسؤول",
        labels=("المسؤول", "الأسئلة والشكاوى", "الأساس القانوني", "واجب الإبلاغ", "تأكيد النتيجة"),
        practice_title="جرّب أولًا",
        practice="رمز التدريب هذا يعمل تمامًا مثل الرمز الحقيقي ويعرض مثالًا. يمكن للجميع استخدامه.",
        address="العنوان",
        code="رمز التدريب",
        group="مجموعة الجاهزية",
        page_hash="بصمة صفحة النتائج",
        qr="رمز QR لعنوان التدريب",
        demonstration="عرض توضيحي: هذا الإشعار غير صالح، ولم يكتب نصوصه أي مسؤول.",
    ),
}
